//! Every form is found, however the output is cut, and nothing else is touched.

use proptest::{collection::vec, prelude::*};

use super::*;

fn masker<'a>(values: impl IntoIterator<Item = &'a str>) -> Masker {
    Masker::new(values.into_iter().enumerate().map(|(at, value)| (format!("V{at}"), SecretString::from(value))))
}

/// The output of a stream that comes in these pieces.
fn streamed(masker: &mut Masker, pieces: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in pieces {
        masker.push(piece, &mut out);
    }
    masker.finish(&mut out);
    out
}

#[test]
fn every_form_of_a_value_is_masked() {
    let value = "p@ss wörd/'\"$x`<&>+~";
    let masker = masker([value]);
    // Each as the named program prints it.
    for (program, printed) in [
        ("echo", value.to_owned()),
        ("base64", "cEBzcyB3w7ZyZC8nIiR4YDwmPit+".to_owned()),
        ("base64url", "cEBzcyB3w7ZyZC8nIiR4YDwmPit-".to_owned()),
        ("xxd -p", "704073732077c3b672642f27222478603c263e2b7e".to_owned()),
        ("%X", "704073732077C3B672642F27222478603C263E2B7E".to_owned()),
        ("python quote", "p%40ss%20w%C3%B6rd/%27%22%24x%60%3C%26%3E%2B~".to_owned()),
        ("python quote_plus", "p%40ss+w%C3%B6rd%2F%27%22%24x%60%3C%26%3E%2B~".to_owned()),
        ("encodeURIComponent", "p%40ss%20w%C3%B6rd%2F'%22%24x%60%3C%26%3E%2B~".to_owned()),
        ("URLSearchParams", "p%40ss+w%C3%B6rd%2F%27%22%24x%60%3C%26%3E%2B%7E".to_owned()),
        ("JSON.stringify", r#"p@ss wörd/'\"$x`<&>+~"#.to_owned()),
        ("python json.dumps", r#"p@ss w\u00f6rd/'\"$x`<&>+~"#.to_owned()),
        ("go json.Marshal", r#"p@ss wörd/'\"$x`\u003c\u0026\u003e+~"#.to_owned()),
        ("php json_encode", r#"p@ss w\u00f6rd\/'\"$x`<&>+~"#.replace("w\\u00f6rd", "wörd")),
        ("sh set -x", r#"p@ss wörd/'\''"$x`<&>+~"#.to_owned()),
        ("python shlex", r#"p@ss wörd/'"'"'"$x`<&>+~"#.to_owned()),
        ("export -p", r#"p@ss wörd/'\"\$x\`<&>+~"#.to_owned()),
        ("bash $'…'", r#"p@ss wörd/\'"$x`<&>+~"#.to_owned()),
    ] {
        assert_eq!(masker.mask_str(&format!("a={printed};")), "a=***;", "{program}");
    }
}

#[test]
fn base64_of_something_longer_is_masked() {
    let masker = masker(["correct horse battery"]);
    for before in ["", "u", "us", "user", "user:"] {
        for after in ["", "\n", "xy", "xyz"] {
            let encoded = base64::Engine::encode(
                &base64::prelude::BASE64_STANDARD,
                format!("{before}correct horse battery{after}"),
            );
            let hidden = masker.mask_str(&encoded);
            // What is left tells of the neighbours, and at most 4 bits of the value at each end.
            assert!(hidden.contains("***") && hidden.len() <= encoded.len() - 28 + 3 + 4, "{encoded} → {hidden}");
        }
    }
}

#[test]
fn each_line_of_a_key_is_masked_by_itself() {
    let key = "-----BEGIN KEY-----\n  MIIabcdefgh\r\nij\nkl+/mnop\n-----END KEY-----\n";
    let masker = masker([key]);
    assert_eq!(masker.mask_str("  1: MIIabcdefgh\n  2: kl+/mnop\n  3: ij\n    "), "  1: ***\n  2: ***\n  3: ij\n    ");
    assert_eq!(masker.mask_str(&format!("<{key}>")), "<***>");
    assert_eq!(masker.mask_str(&format!("<{}>", key.trim())), "<***>");
}

#[test]
fn wrapped_base64_is_masked() {
    let secret: String = ('0'..='z').cycle().take(300).collect();
    let masker = masker([secret.as_str()]);
    let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("{secret}\n"));
    for width in [76, 64] {
        let lines: Vec<_> = encoded.as_bytes().chunks(width).map(String::from_utf8_lossy).collect();
        let hidden = masker.mask_str(&lines.join("\n"));
        assert!(hidden.lines().all(|line| line.starts_with("***") && line.len() < 8), "{hidden}");
    }
}

#[test]
fn short_values_are_named_instead() {
    let masker = masker(["abc", "", "äöü", "abcd", "  x  "]);
    assert_eq!(masker.too_short(), ["V0", "V2", "V4"]);
    assert_eq!(masker.mask_str("abc äöü abcd x"), "abc äöü *** x");
}

#[test]
fn overlapping_values_leave_nothing() {
    let masker = masker(["abcdef", "defghi", "efgh"]);
    assert_eq!(masker.mask_str("_abcdefghi_"), "_***_");
    assert_eq!(masker.mask_str("_abcdefabcdef_"), "_******_");
    assert_eq!(masker.mask_str("_abcde_efgh_defgh"), "_abcde_***_d***");
}

#[test]
fn only_what_may_become_a_secret_is_held_back() {
    let mut masker = masker(["secret-value", "cret-va!"]);
    let mut out = Vec::new();
    let mut push = |chunk: &str| {
        masker.push(chunk.as_bytes(), &mut out);
        String::from_utf8(std::mem::take(&mut out)).unwrap()
    };
    assert_eq!(push("a line\n"), "a line\n");
    assert_eq!(push("a sec"), "a ");
    assert_eq!(push("ret"), "");
    assert_eq!(push("-vax"), "secret-vax");
    assert_eq!(push("secret-va"), "");
    assert_eq!(push("!"), "se***");
    assert_eq!(push("secret-value"), "***");
}

#[test]
fn json_is_masked_in_texts_names_and_numbers() {
    let masker = masker(["hunter22", "123456"]);
    let hidden =
        masker.mask_json(serde_json::json!({"a": ["x hunter22"], "hunter22": {"n": 1_234_567, "m": 12}, "b": null}));
    assert_eq!(hidden, serde_json::json!({"a": ["x ***"], "***": {"n": "***7", "m": 12}, "b": null}));
}

#[test]
fn nothing_is_shown_of_the_values() {
    assert!(!format!("{:?}", masker(["canary-value"])).contains("canary"));
}

/// Replaces by looking at every place of the whole text.
fn naive(values: &[String], text: &[u8]) -> Vec<u8> {
    let mut all = forms::Forms::default();
    for value in values {
        all.add_value(value);
    }
    let mut stretches: Vec<(usize, usize)> = Vec::new();
    for start in 0..text.len() {
        let longest = all.iter().filter(|form| text[start..].starts_with(form)).map(<[u8]>::len).max();
        if let Some(length) = longest {
            match stretches.last_mut() {
                Some(last) if last.1 > start => last.1 = last.1.max(start + length),
                _ => stretches.push((start, start + length)),
            }
        }
    }
    let (mut out, mut at) = (Vec::new(), 0);
    for (start, end) in stretches {
        out.extend_from_slice(&text[at..start]);
        out.extend_from_slice(MASK.as_bytes());
        at = end;
    }
    out.extend_from_slice(&text[at..]);
    out
}

/// Texts over few letters, so that values overlap each other and themselves, with whole and half values inside.
fn case() -> impl Strategy<Value = (Vec<String>, Vec<u8>, Vec<usize>)> {
    vec("[ab]{4,9}|[ab]{4,5}\n[abc]{1,6}", 1..4).prop_flat_map(|values| {
        let part = prop_oneof![
            proptest::sample::select(values.clone()).prop_map(String::into_bytes),
            proptest::sample::select(values.clone()).prop_map(|value| hex::encode(value).into_bytes()),
            "[abc\n]{0,6}".prop_map(String::into_bytes),
            vec(any::<u8>(), 0..4),
        ];
        (Just(values), vec(part, 0..8).prop_map(|parts| parts.concat()), vec(0_usize..100, 0..12))
    })
}

/// Every form of a value is masked, in whatever two places the output is cut.
#[test]
fn a_million_splits_change_nothing() {
    let splits = std::cell::Cell::new(0_u64);
    // Letters that every kind of quoting and escaping treats in its own way, and lines.
    let value = "[a-zäß\"'$`\\\\/+%<&][a-z\"'$`\\\\/+%<& ]{2,6}[a-zäß\"'$`\\\\/+%<&]|[a-z=]{4,6}\n[a-zé\"]{4,6}";
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(240)
    });
    let checked = runner.run(&value, |value| {
        let mut forms = forms::Forms::default();
        forms.add_value(&value);
        let mut masker = masker([value.as_str()]);
        for form in forms.iter() {
            let text = [b"a ", form, b"; "].concat();
            let whole = streamed(&mut masker, &[&text]);
            prop_assert!(!whole.windows(form.len()).any(|window| window == form));
            for first in 0..=text.len() {
                for second in first..=text.len() {
                    let pieces = [&text[..first], &text[first..second], &text[second..]];
                    prop_assert_eq!(&streamed(&mut masker, &pieces), &whole);
                    splits.set(splits.get() + 1);
                }
            }
        }
        Ok(())
    });
    checked.unwrap();
    assert!(splits.get() >= 1_000_000, "{}", splits.get());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_result_does_not_depend_on_the_cuts((values, text, mut cuts) in case()) {
        let mut masker = masker(values.iter().map(String::as_str));
        let expected = naive(&values, &text);
        prop_assert_eq!(&streamed(&mut masker, &[&text]), &expected);
        cuts.retain(|cut| *cut <= text.len());
        cuts.sort_unstable();
        let (mut pieces, mut at) = (Vec::new(), 0);
        for cut in cuts {
            pieces.push(&text[at..cut]);
            at = cut;
        }
        pieces.push(&text[at..]);
        prop_assert_eq!(&streamed(&mut masker, &pieces), &expected);
        let bytes: Vec<_> = text.chunks(1).collect();
        prop_assert_eq!(&streamed(&mut masker, &bytes), &expected);
        for value in values.iter().flat_map(|value| value.lines()).filter(|line| line.len() >= MIN_CHARS) {
            prop_assert!(!expected.windows(value.len()).any(|window| window == value.as_bytes()));
        }
    }

    #[test]
    fn texts_stay_texts(value in "\\PC{4,8}", before in "\\PC{0,8}", after in "\\PC{0,8}") {
        let masker = masker([value.as_str()]);
        let masked = masker.mask_str(&format!("{before}{value}{after}"));
        prop_assert!(masked.contains(MASK) || value.trim().chars().count() < MIN_CHARS);
        let broken = |text: &str| text.contains(char::REPLACEMENT_CHARACTER);
        prop_assert!(!broken(&masked) || broken(&value) || broken(&before) || broken(&after));
    }
}
