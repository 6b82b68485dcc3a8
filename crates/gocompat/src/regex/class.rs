//! Character classes: Go's named groups, Unicode's categories and scripts, and folding of case.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

/// A set of characters under construction. Surrogates, which Go's patterns may name and no text
/// holds, are left out.
pub(super) fn range(lo: u32, hi: u32) -> ClassUnicode {
    let start = (lo..=hi.min(0xdfff)).find_map(char::from_u32);
    let start = start.or_else(|| char::from_u32(lo.max(0xe000)));
    let end = if (0xd800..0xe000).contains(&hi) {
        Some('\u{d7ff}')
    } else {
        char::from_u32(hi)
    };
    match (start, end) {
        (Some(start), Some(end)) if start <= end && lo <= hi => {
            ClassUnicode::new([ClassUnicodeRange::new(start, end)])
        }
        _ => ClassUnicode::empty(),
    }
}

/// All characters.
pub(super) fn any() -> ClassUnicode {
    ClassUnicode::new([ClassUnicodeRange::new('\0', char::MAX)])
}

fn ascii(ranges: &[(u8, u8)]) -> ClassUnicode {
    ClassUnicode::new(
        ranges
            .iter()
            .map(|&(lo, hi)| ClassUnicodeRange::new(lo.into(), hi.into())),
    )
}

/// The classes of `\d`, `\s`, `\w`: ASCII only. The capital letter's is the complement.
pub(super) fn perl(letter: u8) -> Option<ClassUnicode> {
    Some(match letter {
        b'd' => ascii(&[(b'0', b'9')]),
        // Without the vertical tab, as Perl once had it.
        b's' => ascii(&[(b'\t', b'\n'), (0x0c, b'\r'), (b' ', b' ')]),
        b'w' => ascii(&[(b'0', b'9'), (b'A', b'Z'), (b'_', b'_'), (b'a', b'z')]),
        _ => return None,
    })
}

/// The classes of `[:alpha:]` and its like, by the name alone.
pub(super) fn posix(name: &str) -> Option<ClassUnicode> {
    Some(match name {
        "alnum" => ascii(&[(b'0', b'9'), (b'A', b'Z'), (b'a', b'z')]),
        "alpha" => ascii(&[(b'A', b'Z'), (b'a', b'z')]),
        "ascii" => ascii(&[(0, 0x7f)]),
        "blank" => ascii(&[(b'\t', b'\t'), (b' ', b' ')]),
        "cntrl" => ascii(&[(0, 0x1f), (0x7f, 0x7f)]),
        "digit" => ascii(&[(b'0', b'9')]),
        "graph" => ascii(&[(b'!', b'~')]),
        "lower" => ascii(&[(b'a', b'z')]),
        "print" => ascii(&[(b' ', b'~')]),
        "punct" => ascii(&[(b'!', b'/'), (b':', b'@'), (b'[', b'`'), (b'{', b'~')]),
        "space" => ascii(&[(b'\t', b'\r'), (b' ', b' ')]),
        "upper" => ascii(&[(b'A', b'Z')]),
        "word" => ascii(&[(b'0', b'9'), (b'A', b'Z'), (b'_', b'_'), (b'a', b'z')]),
        "xdigit" => ascii(&[(b'0', b'9'), (b'A', b'F'), (b'a', b'f')]),
        _ => return None,
    })
}

/// Long names of general categories that Go knows, without underscores and in lower case. The
/// short ones are recognised by [`SHORT_CATEGORIES`].
const LONG_CATEGORIES: &str = "casedletter closepunctuation combiningmark \
    connectorpunctuation control currencysymbol dashpunctuation decimalnumber enclosingmark \
    finalpunctuation format initialpunctuation letter letternumber lineseparator \
    lowercaseletter mark mathsymbol modifierletter modifiersymbol nonspacingmark number \
    openpunctuation other otherletter othernumber otherpunctuation othersymbol \
    paragraphseparator privateuse punctuation separator spaceseparator spacingmark surrogate \
    symbol titlecaseletter unassigned uppercaseletter cntrl digit punct";

const SHORT_CATEGORIES: &str = "c cc cf cn co cs l lc ll lm lo lt lu m mc me mn n nd nl no p pc \
    pd pe pf pi po ps s sc sk sm so z zl zp zs";

/// Scripts of Unicode 15, without underscores and in lower case.
const SCRIPTS: &str = "adlam ahom anatolianhieroglyphs arabic armenian avestan balinese bamum \
    bassavah batak bengali bhaiksuki bopomofo brahmi braille buginese buhid canadianaboriginal \
    carian caucasianalbanian chakma cham cherokee chorasmian common coptic cuneiform cypriot \
    cyprominoan cyrillic deseret devanagari divesakuru dogra duployan egyptianhieroglyphs \
    elbasan elymaic ethiopic georgian glagolitic gothic grantha greek gujarati gunjalagondi \
    gurmukhi han hangul hanifirohingya hanunoo hatran hebrew hiragana imperialaramaic inherited \
    inscriptionalpahlavi inscriptionalparthian javanese kaithi kannada katakana kawi kayahli \
    kharoshthi khitansmallscript khmer khojki khudawadi lao latin lepcha limbu lineara linearb \
    lisu lycian lydian mahajani makasar malayalam mandaic manichaean marchen masaramgondi \
    medefaidrin meeteimayek mendekikakui meroiticcursive meroitichieroglyphs miao modi \
    mongolian mro multani myanmar nabataean nagmundari nandinagari newtailue newa nko nushu \
    nyiakengpuachuehmong ogham olchiki oldhungarian olditalic oldnortharabian oldpermic \
    oldpersian oldsogdian oldsoutharabian oldturkic olduyghur oriya osage osmanya pahawhhmong \
    palmyrene paucinhau phagspa phoenician psalterpahlavi rejang runic samaritan saurashtra \
    sharada shavian siddham signwriting sinhala sogdian sorasompeng soyombo sundanese \
    sylotinagri syriac tagalog tagbanwa taile taitham taiviet takri tamil tangsa tangut telugu \
    thaana thai tibetan tifinagh tirhuta toto ugaritic vai vithkuqi wancho warangciti yezidi yi \
    zanabazarsquare";

/// The class of `\p{name}`: `Any`, `Assigned`, `ASCII`, a general category or a script. Letter
/// case, spaces, hyphens and underscores do not count.
///
/// Go 1.26 refuses scripts of several words for an oversight (its table's names hold
/// underscores, which it strips from the pattern's); they are accepted here as in other versions.
pub(super) fn unicode(name: &str) -> Option<ClassUnicode> {
    let key: String = name
        .chars()
        .filter(|c| !matches!(c, '_' | '-' | ' '))
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let known = |names: &str| names.split_ascii_whitespace().any(|known| known == key);
    let (property, key) = match key.as_str() {
        "any" => return Some(any()),
        "ascii" => return Some(ascii(&[(0, 0x7f)])),
        "assigned" => {
            let mut assigned = lookup("gc", "cn")?;
            assigned.negate();
            return Some(assigned);
        }
        // No text holds a surrogate.
        "cs" | "surrogate" => return Some(ClassUnicode::empty()),
        "cntrl" => ("gc", "cc"),
        "digit" => ("gc", "nd"),
        "punct" => ("gc", "p"),
        "combiningmark" => ("gc", "m"),
        key if known(SHORT_CATEGORIES) || known(LONG_CATEGORIES) => ("gc", key),
        key if known(SCRIPTS) => ("sc", key),
        _ => return None,
    };
    lookup(property, key)
}

fn lookup(property: &str, value: &str) -> Option<ClassUnicode> {
    let hir = regex_syntax::parse(&format!("\\p{{{property}={value}}}")).ok()?;
    match hir.into_kind() {
        HirKind::Class(Class::Unicode(class)) => Some(class),
        // A class of one character.
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            let c = text.chars().next()?;
            Some(ClassUnicode::new([ClassUnicodeRange::new(c, c)]))
        }
        _ => None,
    }
}
