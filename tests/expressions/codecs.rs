//! Filters between forms: JSON, YAML, URLs, base64 and hashes.

use super::assert_table;

#[test]
fn json_and_yaml() {
    assert_table(&[
        ("{{ labels | toJson }}", r#""{\"team\":\"data\"}""#),
        ("{{ [1, null, 'a'] | json }}", r#""[1,null,\"a\"]""#),
        ("{{ 'a' | toJson }}", r#""\"a\"""#),
        ("{{ null | toJson }}", r#""null""#),
        ("{{ fromJson('[1, {\"a\": true}]') }}", r#"[1, {"a": true}]"#),
        ("{{ json('3') }}", "3"),
        ("{{ {'a': [1, 'x']} | yaml }}", r#""a:\n- 1\n- x\n""#),
        ("{{ null | yaml }}", r#""null\n""#),
        ("{{ yaml('a: [1, b]') }}", r#"{"a": [1, "b"]}"#),
        ("{{ fromJson(labels | toJson) == labels }}", "true"),
    ]);
}

#[test]
fn urls_and_base64() {
    assert_table(&[
        ("{{ 'a b&c/ü~' | urlencode }}", r#""a+b%26c%2F%C3%BC%7E""#),
        ("{{ 'a+b%26c%2F%C3%BC' | urldecode }}", r#""a b&c/ü""#),
        ("{{ 'grün' | base64encode }}", r#""Z3LDvG4=""#),
        ("{{ 'Z3LDvG4=' | base64decode }}", r#""grün""#),
    ]);
}

#[test]
fn hashes() {
    assert_table(&[
        ("{{ 'abc' | md5 }}", r#""900150983cd24fb0d6963f7d28e17f72""#),
        ("{{ 'abc' | sha1 }}", r#""a9993e364706816aba3e25717850c26c9cd0d89d""#),
        ("{{ 'abc' | sha256 }}", r#""ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad""#),
        ("{{ ('abc' | sha512) | slice(0, 16) }}", r#""ddaf35a193617aba""#),
        ("{{ 5 | md5 == '5' | md5 }}", "true"),
    ]);
}
