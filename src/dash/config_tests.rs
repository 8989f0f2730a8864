use super::*;

fn tables(hidden: &[usize]) -> Tables {
    let mut tables = Tables::default();
    for index in hidden {
        tables.with(View::Processes, |table| table.toggle(*index));
    }
    tables
}

fn shown(tables: &Tables) -> Vec<bool> {
    let choices = tables.of(View::Processes).unwrap().choices();
    choices.into_iter().map(|(.., shown)| shown).collect()
}

#[test]
fn hidden_columns_are_remembered_and_the_rest_of_the_file_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder/config.json");
    let (mut file, wrong) = ConfigFile::open(Some(&path));
    assert_eq!(wrong, None, "no file yet");
    assert_eq!(file.remember(&tables(&[0, 3])), None);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"processes\"") && text.contains("\"rx_bytes\""), "{text}");
    let more =
        text.replacen('{', "{\"theme\": \"16\",", 1).replace("\"pid\"", "\"pid\", \"later\"");
    fs::write(&path, more).unwrap();
    let (mut file, wrong) = ConfigFile::open(Some(&path));
    assert_eq!((wrong, file.config.theme), (None, Some(ThemeChoice::Sixteen)));
    let mut again = Tables::default();
    file.config.apply(&mut again);
    assert_eq!(shown(&again), shown(&tables(&[0, 3])));
    again.with(View::Processes, |table| table.toggle(0));
    assert_eq!(file.remember(&again), None);
    let config: Config = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let keys = ["later", "rx_bytes"].map(str::to_owned);
    assert_eq!(config.hidden[&View::Processes], BTreeSet::from(keys));
    assert_eq!(config.theme, Some(ThemeChoice::Sixteen));
    let others = fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(others, 1, "nothing is left beside it");
}

#[test]
fn a_file_that_cannot_be_read_is_named_ignored_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    for (text, reason) in [
        ("{\"theem\": \"dark\"}", "unknown field `theem`"),
        ("{\"theme\": \"pink\"}", "unknown variant `pink`"),
        ("{\"hidden\": {\"nowhere\": []}}", "nowhere"),
        ("theme = dark", "line 1"),
        ("", "EOF"),
    ] {
        fs::write(&path, text).unwrap();
        let (mut file, wrong) = ConfigFile::open(Some(&path));
        let wrong = wrong.unwrap();
        assert!(wrong.contains("config.json is ignored") && wrong.contains(reason), "{wrong}");
        assert_eq!(file.config, Config::default());
        let said = file.remember(&tables(&[1])).unwrap();
        assert!(said.contains("could not be read"), "{said}");
        assert_eq!(file.remember(&tables(&[2])), None, "once");
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "it is not overwritten");
    }
    let (_, wrong) = ConfigFile::open(Some(folder.path()));
    assert!(wrong.unwrap().contains("not a regular file"));
}

#[test]
fn where_nothing_can_be_written_it_is_said_once() {
    // Nobody makes folders there, root neither.
    let (mut config, wrong) = ConfigFile::open(Some(Path::new("/proc/tcpscope/config.json")));
    assert_eq!(wrong, None);
    let said = config.remember(&tables(&[1])).unwrap();
    assert!(said.starts_with("not remembered: cannot write /proc/tcpscope/"), "{said}");
    assert_eq!(config.remember(&tables(&[2])), None);
}

#[test]
fn the_own_file_is_below_xdg_config_home_or_home() {
    let of = |xdg: Option<&str>, home: Option<&str>| {
        own(|name| if name == "HOME" { home } else { xdg }.map(PathBuf::from))
    };
    let path = |text: &str| Some(PathBuf::from(text).join(NAME));
    assert_eq!(of(Some("/x"), Some("/h")), path("/x"));
    assert_eq!(of(None, Some("/h")), path("/h/.config"));
    assert_eq!(of(Some("relative"), Some("/h")), path("/h/.config"));
    assert_eq!(of(None, None), None);
}
