//! `tollgate completions` and `tollgate man`.

use std::process::Command;

use super::{BINARY, tollgate_in};
use crate::support::{require, temporary};

#[test]
fn each_shell_gets_a_script_with_the_commands_and_settings() {
    let directory = temporary::directory();
    for (shell, mark) in
        [("bash", "complete -F"), ("zsh", "#compdef tollgate"), ("fish", "complete -c tollgate")]
    {
        let said = tollgate_in(directory.path(), &["completions", shell], &[]);
        said.assert_good();
        for part in [mark, "import-django", "doctor", "public-url", "note"] {
            assert!(said.out.contains(part), "{part:?} is not in the script for {shell}");
        }
    }
    tollgate_in(directory.path(), &["completions", "tcsh"], &[]).assert_refused(2, "bash, zsh, fish");
}

/// bash itself reads the script and completes.
#[test]
fn bash_completes_commands_and_only_the_settings_that_a_command_reads() {
    let script = format!(
        "source <('{BINARY}' completions bash)
         complete_words() {{
             COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
             _tollgate tollgate \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"
             echo \"${{COMPREPLY[*]}}\"
         }}
         complete_words tollgate ver
         complete_words tollgate verify --data
         complete_words tollgate verify --chat
         complete_words tollgate serve --chat"
    );
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        printed.lines().collect::<Vec<_>>(),
        ["verify", "--database-url --database-url-file", "", "--chat-price"]
    );
}

#[test]
fn the_manual_has_every_command_and_every_setting() {
    let directory = temporary::directory();
    let page = tollgate_in(directory.path(), &["man"], &[]);
    page.assert_good();
    for part in
        [".TH tollgate 1", "SH COMMANDS", "tollgate adjust", "tollgate import\\-django", "\\-\\-public\\-url"]
    {
        assert!(page.out.contains(part), "{part:?} is not in the page");
    }
    let Some(man) = require::program("man") else { return };
    let file = directory.path().join("tollgate.1");
    std::fs::write(&file, &page.out).unwrap();
    let output =
        Command::new(man).args(["--warnings", "-l"]).arg(&file).env("MANWIDTH", "100").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("--opening-tokens") && shown.contains("EXTRA"), "{shown}");
}
