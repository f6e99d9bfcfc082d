//! Questions for what a run lacks, on a real terminal.

use crate::cli::terminal::Terminal;
use crate::cli::world::World;

const DOWN: &str = "\u{1b}[B";
const CTRL_C: &str = "\u{3}";

const FLOW: &str = r#"id: f
namespace: n
inputs:
  - {id: taxi, type: SELECT, values: [yellow, green], displayName: Which taxis}
  - {id: year, type: INT, max: 2025}
  - {id: sure, type: BOOL, description: Really}
  - {id: months, type: MULTISELECT, values: ["01", "02", "03"], dependsOn: {inputs: [sure], condition: "{{ inputs.sure }}"}}
  - {id: token, type: SECRET, validator: "[a-z0-9-]+"}
  - {id: note, type: STRING, prefill: none}
  - {id: given, type: STRING, defaults: kept}
tasks:
  - {id: a, type: log, message: "{{ inputs.taxi }} {{ inputs.year }} {{ inputs.months }} {{ inputs.token | length }} {{ inputs.note }} {{ inputs.given }}"}
"#;

fn world() -> World {
    let world = World::new();
    world.write("f.yaml", FLOW);
    world
}

#[test]
fn missing_inputs_are_prompted_for_and_checked() {
    let world = world();
    let mut terminal = Terminal::start(&world, "jitney run f.yaml");
    terminal.answers("Which taxis (taxi)", &format!("{DOWN}\r"));
    terminal.answers("year", "soon\r").answers("`soon` is not a whole number", "2030\r");
    terminal.answers("2030 is more than 2025", "2020\r");
    terminal.answers("Really (sure)", "y");
    terminal.answers("months", &format!(" {DOWN}{DOWN} \r"));
    terminal.answers("token, hidden", "SECRET WORD\r").answers("the value does not match", "secret-wordx\u{7f}\r");
    terminal.answers("note", " at all\r");
    let (code, screen) = terminal.ended();
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.contains("green 2020 [\"01\",\"03\"] 11 none at all kept"), "{screen}");
    assert!(!screen.contains("secret-word") && !screen.contains("SECRET"), "{screen}");
    assert!(!world.journal_text().contains("secret-word"));
}

#[test]
fn given_inputs_and_inputs_whose_condition_fails_are_not_prompted_for() {
    let world = world();
    let line = "jitney run f.yaml -i taxi=green -i year=2019 -i sure=false -i token=abc";
    let mut terminal = Terminal::start(&world, line);
    terminal.answers("note", "\r");
    let (code, screen) = terminal.ended();
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.contains("green 2019  3 none kept"), "{screen}");
}

#[test]
fn invalid_values_are_reported_before_any_prompt() {
    let (code, screen) = Terminal::start(&world(), "jitney run f.yaml -i year=x").ended();
    assert_eq!(code, Some(3), "{screen}");
    assert!(screen.contains("input `year`: `x` is not a whole number") && !screen.contains("Which taxis (taxi):"));
}

#[test]
fn ctrl_c_restores_the_terminal() {
    for (given, question) in [
        ("", "Which taxis (taxi)"),
        ("-i taxi=green", "year"),
        ("-i taxi=green -i year=2019", "Really (sure)"),
        ("-i taxi=green -i year=2019 -i sure=true", "months"),
        ("-i taxi=green -i year=2019 -i sure=false", "token, hidden"),
    ] {
        let world = world();
        let line = format!("stty; jitney run f.yaml {given}; echo \"ended $?\"; stty");
        let mut terminal = Terminal::start(&world, &line);
        terminal.answers(question, CTRL_C);
        terminal.sees("ended 130");
        let (_, screen) = terminal.ended();
        let before = screen.lines().next().unwrap().to_owned();
        assert!(screen.rsplit("ended 130").next().unwrap().contains(&before), "{screen}");
        assert!(!screen.rsplit("ended 130").next().unwrap().contains("-echo"), "{screen}");
        let (hidden, shown) = (screen.rfind("\u{1b}[?25l"), screen.rfind("\u{1b}[?25h"));
        assert!(hidden < shown || hidden.is_none(), "the cursor stays hidden\n{screen:?}");
        assert!(!world.home().exists(), "something was written");
    }
}

#[test]
fn there_are_no_prompts_without_a_terminal() {
    for line in ["CI=true jitney run f.yaml", "jitney run f.yaml --json", "jitney run f.yaml </dev/null"] {
        let (code, screen) = Terminal::start(&world(), line).ended();
        assert_eq!(code, Some(3), "{screen}");
        assert!(screen.contains("give it with `-i taxi=yellow`"), "{screen}");
    }
}

#[test]
fn resume_prompts_for_the_inputs_of_a_pause() {
    let world = World::new();
    let flow = "id: p\nnamespace: n\ntasks:\n  - id: approve\n    type: pause\n    onResume:\n      \
                - {id: verdict, type: SELECT, values: [fine, bad], displayName: Your verdict}\n      \
                - {id: note, type: STRING, required: false}\n  \
                - {id: after, type: log, message: \"it is {{ outputs.approve.onResume.verdict }}\"}\n";
    world.write("p.yaml", flow);
    world.jitney(&["run", "p.yaml"]).ended(4);
    let (code, screen) = Terminal::start(&world, "jitney resume -i verdict=odd").ended();
    assert_eq!(code, Some(3), "{screen}");
    assert!(screen.contains("`odd` is not one of") && !screen.contains("Your verdict (verdict)"), "{screen}");
    let mut terminal = Terminal::start(&world, "jitney resume");
    terminal.answers("Your verdict (verdict)", CTRL_C);
    assert_eq!(terminal.ended().0, Some(130));
    let mut terminal = Terminal::start(&world, "jitney resume");
    terminal.answers("Your verdict (verdict)", &format!("{DOWN}\r"));
    let (code, screen) = terminal.ended();
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.contains("it is bad"), "{screen}");
}
