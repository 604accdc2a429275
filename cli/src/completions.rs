//! `aether completions`: scripts for four shells, generated from the table of commands.

use std::fmt::Write as _;

use aether_core::config::{Key, Kind, nearest};
use aether_provider::presets;
use aether_settings::keys::TABLES;
use aether_tools::{Scope, Tools};

use crate::args::{Command, Flag, Invocation};
use crate::commands::COMMANDS;
use crate::show;
use crate::trouble::{Exit, Trouble};

/// Writes a shell's script.
type Writer = fn(&[Entry]) -> String;

/// The shells, and what writes the script of each.
const SHELLS: &[(&str, Writer)] = &[("bash", bash), ("zsh", zsh), ("fish", fish), ("powershell", powershell)];

/// `aether completions SHELL`.
pub(crate) fn completions(invocation: &Invocation) -> Result<Exit, Trouble> {
    let wanted = invocation.operand(0, "the name of a shell: bash, zsh, fish or powershell")?;
    let names = SHELLS.iter().map(|(name, _)| *name);
    let Some((_, script)) = SHELLS.iter().find(|(name, _)| *name == wanted) else {
        let hint = match nearest(wanted, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "wanted bash, zsh, fish or powershell".to_owned(),
        };
        return Err(Trouble::usage(format!("there are no completions for `{wanted}`; {hint}")));
    };
    show::report(&script(&entries()))?;
    Ok(Exit::Done)
}

/// One command, with everything that can follow it.
struct Entry {
    command: &'static Command,
    /// Words that an operand can be; none where it is free text or a file.
    operands: Vec<String>,
}

impl Entry {
    /// The first word, and the second where there are two.
    fn words(&self) -> (&'static str, Option<&'static str>) {
        self.command.name.split_once(' ').map_or((self.command.name, None), |(head, rest)| (head, Some(rest)))
    }
}

fn entries() -> Vec<Entry> {
    COMMANDS.iter().map(|command| Entry { command, operands: operands(command.name) }).collect()
}

/// What the operands of a command can be.
fn operands(command: &str) -> Vec<String> {
    let owned = |words: &mut dyn Iterator<Item = &'static str>| words.map(str::to_owned).collect();
    match command {
        "completions" => owned(&mut SHELLS.iter().map(|(name, _)| *name)),
        "config get" | "config set" | "config unset" | "config explain" => {
            owned(&mut keys().map(|key| key.name).filter(|name| !name.contains('*')))
        }
        "help" => {
            let mut heads: Vec<String> =
                owned(&mut COMMANDS.iter().filter_map(|command| command.name.split(' ').next()));
            heads.dedup();
            heads
        }
        "model list" => owned(&mut presets().iter().map(|preset| preset.name)),
        "policy set" => crate::policy::words_of_set(),
        "tool show" | "tool run" | "policy explain" => {
            let tools = Tools::builtin(&Scope::workspace("."));
            aether_core::tool::Toolbox::manifests(&tools).iter().map(|tool| tool.name.to_string()).collect()
        }
        _ => Vec::new(),
    }
}

fn keys() -> impl Iterator<Item = &'static Key> {
    TABLES.iter().copied().flatten()
}

/// The words that a flag's value can be: those of the key that it sets, or of the key that has its name.
fn choices(flag: &Flag) -> &'static [&'static str] {
    let name = flag.key.unwrap_or(flag.long);
    let found = keys().find(|key| key.name == name || key.name.rsplit('.').next() == Some(flag.long));
    match (flag.value, found.map(|key| key.kind)) {
        (Some(_), Some(Kind::Choice(words))) => words,
        _ => &[],
    }
}

/// The first words of commands, each once, with what to say of it.
fn heads(entries: &[Entry]) -> Vec<(&'static str, String)> {
    let mut heads: Vec<(&'static str, String)> = Vec::new();
    for entry in entries {
        let (head, rest) = entry.words();
        match heads.last_mut().filter(|(last, _)| *last == head) {
            Some((_, doc)) => write_to(doc, format_args!(", {}", rest.unwrap_or_default())),
            None => heads.push((head, rest.map_or(entry.command.summary.to_owned(), str::to_owned))),
        }
    }
    heads
}

/// The second words after `head`.
fn rests<'a>(entries: &'a [Entry], head: &'a str) -> impl Iterator<Item = (&'static str, &'static str)> + 'a {
    entries.iter().filter_map(move |entry| match entry.words() {
        (own, Some(rest)) if own == head => Some((rest, entry.command.summary)),
        _ => None,
    })
}

/// Writing to a text cannot fail.
fn write_to(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _written = out.write_fmt(arguments);
}

fn flags_of(command: &'static Command) -> String {
    let mut words: Vec<String> = Vec::new();
    for flag in command.all_flags() {
        words.push(format!("--{}", flag.long));
        words.extend(flag.short.map(|short| format!("-{short}")));
    }
    words.join(" ")
}

/// Flags that take a value, as patterns of `case`, and the words that the value can be.
fn valued(command: &'static Command) -> Vec<(String, String)> {
    let with_value = command.all_flags().filter(|flag| flag.value.is_some());
    let pattern = |flag: &Flag| match flag.short {
        Some(short) => format!("--{}|-{short}", flag.long),
        None => format!("--{}", flag.long),
    };
    with_value.map(|flag| (pattern(flag), choices(flag).join(" "))).collect()
}

/// What bash and zsh share: from the words of the line to `flags`, `words`, or `files`.
fn cases(entries: &[Entry]) -> String {
    let mut text = String::from("    case \"$command\" in\n");
    let tops: Vec<&str> = heads(entries).into_iter().map(|(head, _)| head).collect();
    write_to(&mut text, format_args!("        \"\") words=\"{}\" ;;\n", tops.join(" ")));
    for head in tops {
        let below: Vec<&str> = rests(entries, head).map(|(rest, _)| rest).collect();
        if !below.is_empty() {
            write_to(&mut text, format_args!("        \"{head}\") words=\"{}\" ;;\n", below.join(" ")));
        }
    }
    for entry in entries {
        let command = entry.command;
        write_to(&mut text, format_args!("        \"{}\")\n", command.name));
        write_to(&mut text, format_args!("            flags=\"{}\"\n", flags_of(command)));
        if !entry.operands.is_empty() {
            write_to(&mut text, format_args!("            words=\"{}\"\n", entry.operands.join(" ")));
        } else if command.operands_max > 0 {
            text.push_str("            files=1\n");
        }
        text.push_str("            case \"$previous\" in\n");
        for (pattern, words) in valued(command) {
            let files = if words.is_empty() { 1 } else { 0 };
            write_to(
                &mut text,
                format_args!("                {pattern}) flags=\"\"; words=\"{words}\"; files={files} ;;\n"),
            );
        }
        text.push_str("            esac ;;\n");
    }
    text.push_str("    esac\n");
    text
}

/// The words of `case` patterns that are first words of two-word commands.
fn two_word_heads(entries: &[Entry]) -> String {
    let heads = heads(entries).into_iter().map(|(head, _)| head);
    heads.filter(|head| rests(entries, head).next().is_some()).collect::<Vec<_>>().join("|")
}

fn bash(entries: &[Entry]) -> String {
    format!(
        r#"# Completions of aether for bash. Put this line into ~/.bashrc:
#   source <(aether completions bash)
_aether() {{
    local word command="" words="" flags="" files="" at
    local current="${{COMP_WORDS[COMP_CWORD]}}" previous=""
    [ "$COMP_CWORD" -gt 1 ] && previous="${{COMP_WORDS[COMP_CWORD-1]}}"
    for ((at = 1; at < COMP_CWORD; at++)); do
        word="${{COMP_WORDS[at]}}"
        case "$command/$word" in
            /-*) ;;
            /*) command="$word" ;;
            *) case "$command" in
                {two}) case "$word" in -*) ;; *) command="$command $word"; break ;; esac ;;
                *) break ;;
            esac ;;
        esac
    done
{cases}    case "$current" in
        -*) words="$flags"; files="" ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    if [ "$files" = 1 ]; then
        compopt -o filenames 2>/dev/null
        COMPREPLY+=($(compgen -f -- "$current"))
    fi
    return 0
}}
complete -F _aether aether
"#,
        two = two_word_heads(entries),
        cases = cases(entries),
    )
}

fn zsh(entries: &[Entry]) -> String {
    format!(
        r#"#compdef aether
# Completions of aether for zsh. Save this as a file named _aether in a directory of $fpath, or put this line into
# ~/.zshrc, below compinit:
#   source <(aether completions zsh)
_aether() {{
    local word command="" flags="" files="" at
    local current="${{words[CURRENT]}}" previous="${{words[CURRENT-1]}}"
    local -a line
    line=("${{(@)words[2,CURRENT-1]}}")
    local words=""
    for word in "${{(@)line}}"; do
        case "$command/$word" in
            /-*) ;;
            /*) command="$word" ;;
            *) case "$command" in
                {two}) case "$word" in -*) ;; *) command="$command $word"; break ;; esac ;;
                *) break ;;
            esac ;;
        esac
    done
{cases}    case "$current" in
        -*) words="$flags"; files="" ;;
    esac
    compadd -- ${{=words}}
    if [ "$files" = 1 ]; then
        _files
    fi
    return 0
}}
if [ "$funcstack[1]" = "_aether" ]; then
    _aether "$@"
else
    compdef _aether aether
fi
"#,
        two = two_word_heads(entries),
        cases = cases(entries),
    )
}

/// A text in single quotes, as fish and PowerShell read them.
fn quoted(text: &str, escape: &str) -> String {
    format!("'{}'", text.replace('\'', escape))
}

fn fish(entries: &[Entry]) -> String {
    let mut text = String::from(
        "# Completions of aether for fish. Save this as ~/.config/fish/completions/aether.fish.\n\
         complete -c aether -f\n",
    );
    let say = |text: &str| quoted(text, "\\'");
    for (head, doc) in heads(entries) {
        write_to(&mut text, format_args!("complete -c aether -n __fish_use_subcommand -a {head} -d {}\n", say(&doc)));
    }
    for entry in entries {
        let command = entry.command;
        let seen = match entry.words() {
            (head, None) => format!("__fish_seen_subcommand_from {head}"),
            (head, Some(rest)) => {
                let all: Vec<&str> = rests(entries, head).map(|(rest, _)| rest).collect();
                write_to(
                    &mut text,
                    format_args!(
                        "complete -c aether -n {} -a {rest} -d {}\n",
                        say(&format!(
                            "__fish_seen_subcommand_from {head}; and not __fish_seen_subcommand_from {}",
                            all.join(" ")
                        )),
                        say(command.summary)
                    ),
                );
                format!("__fish_seen_subcommand_from {head}; and __fish_seen_subcommand_from {rest}")
            }
        };
        let seen = say(&seen);
        if !entry.operands.is_empty() {
            let words = say(&entry.operands.join(" "));
            write_to(&mut text, format_args!("complete -c aether -n {seen} -a {words}\n"));
        } else if command.operands_max > 0 {
            write_to(&mut text, format_args!("complete -c aether -n {seen} -F\n"));
        }
        for flag in command.all_flags() {
            let short = flag.short.map_or(String::new(), |short| format!(" -s {short}"));
            let value = match (flag.value, choices(flag)) {
                (None, _) => String::new(),
                (Some(_), []) => " -r -F".to_owned(),
                (Some(_), words) => format!(" -x -a {}", say(&words.join(" "))),
            };
            let doc = say(flag.doc);
            write_to(&mut text, format_args!("complete -c aether -n {seen} -l {}{short}{value} -d {doc}\n", flag.long));
        }
    }
    text
}

fn powershell(entries: &[Entry]) -> String {
    let say = |text: &str| quoted(text, "''");
    let list = |words: &mut dyn Iterator<Item = String>| words.map(|word| say(&word)).collect::<Vec<_>>().join(", ");
    let mut table = String::new();
    let tops = list(&mut heads(entries).into_iter().map(|(head, _)| head.to_owned()));
    write_to(&mut table, format_args!("        '' = @({tops})\n"));
    for (head, _) in heads(entries) {
        let below = list(&mut rests(entries, head).map(|(rest, _)| rest.to_owned()));
        if !below.is_empty() {
            write_to(&mut table, format_args!("        '{head}' = @({below})\n"));
        }
    }
    let mut values = String::new();
    let mut seen: Vec<&str> = Vec::new();
    for flag in entries.iter().flat_map(|entry| entry.command.all_flags()).filter(|flag| !choices(flag).is_empty()) {
        if !seen.contains(&flag.long) {
            seen.push(flag.long);
            let words = list(&mut choices(flag).iter().map(|word| (*word).to_owned()));
            write_to(&mut values, format_args!("        '--{}' = @({words})\n", flag.long));
        }
    }
    for entry in entries {
        let flags = flags_of(entry.command);
        let words = list(&mut flags.split(' ').map(str::to_owned).chain(entry.operands.iter().cloned()));
        write_to(&mut table, format_args!("        '{}' = @({words})\n", entry.command.name));
    }
    format!(
        r#"# Completions of aether for PowerShell. Put this line into $PROFILE:
#   aether completions powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName aether -ScriptBlock {{
    param($current, $line, $cursor)
    $table = @{{
{table}    }}
    $values = @{{
{values}    }}
    $before = @($line.CommandElements | Select-Object -Skip 1 |
        Where-Object {{ $_.Extent.EndOffset -lt $cursor }} | ForEach-Object {{ "$_" }})
    $words = @($before | Where-Object {{ -not $_.StartsWith('-') }})
    $command = ''
    foreach ($count in 2, 1) {{
        $name = ($words | Select-Object -First $count) -join ' '
        if ($table.ContainsKey($name)) {{ $command = $name; break }}
    }}
    $offered = $table[$command]
    if ($before.Count -gt 0 -and $values.ContainsKey($before[-1])) {{ $offered = $values[$before[-1]] }}
    $offered | Where-Object {{ $_.StartsWith($current) }} | ForEach-Object {{
        [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
    }}
}}
"#
    )
}
