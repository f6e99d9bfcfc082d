//! Passwords that are stored as argon2id hashes.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};

/// How texts begin that are hashes of passwords, and not passwords.
const HASHES: [&str; 9] = ["$argon2", "$2a$", "$2b$", "$2y$", "$1$", "$5$", "$6$", "$pbkdf2", "$scrypt$"];
/// The most memory that a hash may ask for, in KiB.
const MAX_MEMORY: u32 = 256 << 10;

/// A password cannot be hashed.
#[derive(Debug, thiserror::Error)]
#[error("the password cannot be hashed: {0}")]
pub(super) struct HashError(argon2::password_hash::Error);

/// The argon2id hash of a password, with a salt of its own, as it is in `users`.
///
/// # Errors
/// When the system gives no random numbers.
pub(super) fn hash(password: &str) -> Result<String, HashError> {
    Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string()).map_err(HashError)
}

/// Whether a password of the settings is a hash of one, of whatever kind.
pub(in crate::server) fn is_hash(password: &str) -> bool {
    HASHES.iter().any(|begin| password.starts_with(begin)) && password.len() >= 20
}

/// What is wrong with a hash, if anything.
pub(super) fn hash_problem(hash: &str) -> Option<String> {
    let wrong = |what: &str| Some(format!("{what}; make a hash with `jitney user add`"));
    let Ok(parsed) = PasswordHash::new(hash) else { return wrong("is a hash that cannot be read") };
    match (parsed.algorithm.as_str(), parsed.hash, Params::try_from(&parsed)) {
        ("argon2id", Some(_), Ok(parameters)) if parameters.m_cost() <= MAX_MEMORY => None,
        ("argon2id", Some(_), Ok(_)) => wrong("is a hash that needs more than 256 MiB of memory"),
        ("argon2id", ..) => wrong("is a hash that cannot be read"),
        _ => wrong("is a hash that is not of argon2id"),
    }
}

/// Whether a password has this hash. It takes some tens of milliseconds, and as much memory as the hash says.
pub(super) fn verify(password: &[u8], hash: &str) -> bool {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default());
    PasswordHash::new(hash).is_ok_and(|hash| argon2.verify_password(password, &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_its_own_hash_alone() {
        let hashed = hash("correct horse battery").unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && is_hash(&hashed), "{hashed}");
        assert_eq!(hash_problem(&hashed), None);
        assert!(verify(b"correct horse battery", &hashed) && !verify(b"correct horse", &hashed));
        assert_ne!(hashed, hash("correct horse battery").unwrap());
    }

    #[test]
    fn what_is_no_argon2id_hash_is_refused() {
        let salted = "$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
        for (hash, words) in [
            ("$2b$12$abcdefghijklmnopqrstuv".to_owned(), "is a hash that"),
            ("$argon2id$v=19$m=19456".to_owned(), "cannot be read"),
            (format!("$argon2i$v=19$m=19456,t=2,p=1{salted}"), "not of argon2id"),
            (format!("$argon2id$v=19$m=1000000,t=2,p=1{salted}"), "more than 256 MiB"),
        ] {
            assert!(is_hash(&hash), "{hash}");
            let problem = hash_problem(&hash).unwrap();
            assert!(problem.contains(words), "{hash}: {problem}");
        }
        assert!(!is_hash("$5$") && !is_hash("correct horse battery staple"));
    }
}
