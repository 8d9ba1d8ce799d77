use std::time::Duration;

use tempfile::TempDir;

use super::{Config, span};

fn load(text: &str) -> Result<Config, String> {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("portcullis.toml");
    std::fs::write(&file, text).unwrap();
    Config::load(&file).map_err(|error| error.to_string())
}

const SERVER: &str = "[[server]]\nname = \"market\"\ncommand = [\"market\"]\n";

#[test]
fn an_empty_file_has_the_documented_defaults() {
    let config = load("").unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8787");
    assert_eq!(config.data, config.folder.join("data"));
    assert_eq!(config.policies, config.folder.join("policies"));
    let server = &load(SERVER).unwrap().servers[0];
    assert!(server.prefix);
    assert_eq!(server.timeout, Duration::from_secs(60));
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    for (text, expected) in [
        ("[gate]\nlisen = \"x\"", "unknown key `gate.lisen`; did you mean `listen`?"),
        ("[[serve]]\nname = \"x\"", "unknown key `serve`; did you mean `server`?"),
        ("[[server]]\nname = \"x\"\ncommands = [\"x\"]", "unknown key `server.commands`; did you mean `command`?"),
        ("[[tool]]\nname = \"x\"\nqqq = 1", "unknown key `tool.qqq`; known are `name`, `idempotency`"),
        ("[[limit]]\nname = \"x\"\nrates = \"1/s\"", "unknown key `limit.rates`; did you mean `rate`?"),
        ("[[ceiling]]\nacount = \"x\"", "unknown key `ceiling.acount`; did you mean `account`?"),
    ] {
        let error = load(text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn what_makes_no_sense_is_said_with_its_place() {
    let two = format!("{SERVER}[[server]]\nname = \"b\"\ncommand = [\"b\"]\nprefix = false\n");
    let ceiling = |rest: &str| format!("[[ceiling]]\naccount = \"agent\"\n{rest}");
    for (text, expected) in [
        ("[gate\n", "not a valid configuration"),
        ("[gate]\nlisten = 1", "listen"),
        ("[gate]\nlisten = \"here\"", "`gate.listen` is `here`"),
        ("[[server]]\nname = \"a__b\"\ncommand = [\"x\"]", "`a__b` is not a server's name"),
        ("[[server]]\nname = \"a_\"\ncommand = [\"x\"]", "`a_` is not a server's name"),
        ("[[server]]\nname = \"_a\"\ncommand = [\"x\"]", "`_a` is not a server's name"),
        ("[[server]]\nname = \"gate\"\ncommand = [\"x\"]", "cannot be called `gate`"),
        ("[[server]]\nname = \"a\"", "server `a` needs a `command`"),
        ("[[server]]\nname = \"a\"\ncommand = []", "server `a` needs a `command`"),
        ("[[server]]\nname = \"a\"\ncommand = [\"x\"]\nurl = \"https://x/mcp\"", "both a `command` and a `url`"),
        ("[[server]]\nname = \"a\"\nurl = \"http://x/mcp\"", "server `a` has the `url` of `x` with http://"),
        ("[[server]]\nname = \"a\"\nurl = \"https://x\"\nenv = []", "an `env`"),
        ("[[server]]\nname = \"a\"\nurl = \"https://x\"\nheaders = { Host = \"y\" }", "the header `Host`"),
        ("[[server]]\nname = \"a\"\ncommand = [\"x\"]\nheaders = { A = \"y\" }", "a `command` and `headers`"),
        ("[[server]]\nname = \"a\"\ncommand = [\"x\"]\nenv = [\"PORTCULLIS_KEY\"]", "holds a credential"),
        ("[[server]]\nname = \"a\"\ncommand = [\"x\"]\nshare = \"some\"", "`principal`"),
        ("[[server]]\nname = \"a\"\ncommand = [\"x\"]\ntimeout = \"1\"", "not a span of time"),
        ("[[server]]\nname = \"a\"\ncommand = [\"x\"]\ntimeout = \"2h\"", "it can be 1ms to 1h"),
        (&two, "prefix = false"),
        (&format!("{SERVER}{SERVER}"), "two servers called `market`"),
        ("[[tool]]\nname = \"x\"\nidempotency = \"maybe\"", "maybe"),
        ("[[tool]]\nname = \"x\"\non_error = \"forget\"", "forget"),
        ("[[tool]]\nname = \"x\"\nsecret_arguments = [\"value\"]", "`value` is not a JSON pointer"),
        ("[[tool]]\nname = \"x\"\nsecret_arguments = [\"\"]", "names the whole"),
        ("[[tool]]\nname = \"x\"\n[[tool]]\nname = \"x\"", "two [[tool]] entries for `x`"),
        ("[[limit]]\nname = \"x\"\nrate = \"10/minute\"", "`x`"),
        (&ceiling("max = \"-1\"\ncurrency = \"EUR\"\nwindow = \"24h\""), "`-1` is not an amount"),
        (&ceiling("max = \"1\"\ncurrency = \"eur\"\nwindow = \"24h\""), "`eur` is not a currency"),
        (&ceiling("max = \"1\"\ncurrency = \"EUR\""), "needs either `window`"),
        (&ceiling("max = \"1\"\ncurrency = \"EUR\"\nwindow = \"367d\""), "366d"),
    ] {
        let error = load(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn spans_are_read_and_shown() {
    for (text, ms) in [("250ms", 250), ("90s", 90_000), ("15m", 900_000), ("24h", 86_400_000), ("7d", 604_800_000)] {
        assert_eq!(span::parse(text), Ok(Duration::from_millis(ms)));
        assert_eq!(span::show(Duration::from_millis(ms)), text);
    }
    for bad in ["", "1", "h", "-1h", "1.5h", "1 h", "1w", "99999999999999999999s", "18446744073709551615d"] {
        assert!(span::parse(bad).is_err(), "{bad}");
    }
}
