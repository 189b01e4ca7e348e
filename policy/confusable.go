package policy

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// lookAlikes are letters that a reader takes for others, in lower case: of
// Cyrillic, Greek, Armenian and odd Latin for plain Latin, as the tables of UTS
// #39 section 4 have them, and some that are only much alike; then digits for
// letters. Accents need no entry: they are taken off first. It is not the whole
// of Unicode's table, but covers what can stand in a domain of one of these
// scripts.
var lookAlikes = map[rune]string{
	'а': "a", 'в': "b", 'с': "c", 'ԁ': "d", 'е': "e", 'ё': "e", 'є': "e", 'ғ': "f", 'ԍ': "g", 'һ': "h", 'н': "h", 'і': "i", 'ї': "i", 'ј': "j", 'к': "k", 'қ': "k",
	'ӏ': "l", 'м': "m", 'п': "n", 'о': "o", 'ө': "o", 'р': "p", 'ԛ': "q", 'г': "r", 'ѕ': "s", 'т': "t", 'ц': "u", 'ѵ': "v", 'ԝ': "w", 'ш': "w", 'ѡ': "w", 'х': "x",
	'у': "y", 'ү': "y", 'ʒ': "z", 'ь': "b", 'з': "3", 'б': "6", 'ч': "4",

	'α': "a", 'β': "b", 'ϲ': "c", 'ς': "c", 'δ': "d", 'ε': "e", 'η': "n", 'ι': "i", 'ϳ': "j", 'κ': "k", 'μ': "u", 'ν': "v", 'ο': "o", 'σ': "o", 'ρ': "p", 'ϱ': "p",
	'τ': "t", 'υ': "u", 'χ': "x", 'ω': "w", 'γ': "y", 'λ': "l",

	'ա': "w", 'գ': "q", 'զ': "q", 'հ': "h", 'յ': "j", 'լ': "l", 'ո': "n", 'ռ': "n", 'օ': "o", 'ք': "p", 'ս': "u", 'ց': "g", 'փ': "p", 'ւ': "i",

	'ɑ': "a", 'ƅ': "b", 'ƈ': "c", 'đ': "d", 'ɖ': "d", 'ɗ': "d", 'ə': "e", 'ƒ': "f", 'ſ': "f", 'ɡ': "g", 'ɢ': "g", 'ħ': "h", 'ɦ': "h", 'ı': "i", 'ɩ': "i", 'ɪ': "i",
	'ɨ': "i", 'ȷ': "j", 'ĸ': "k", 'ƙ': "k", 'ł': "l", 'ɫ': "l", 'ǀ': "l", 'ɱ': "m", 'ŋ': "n", 'ɲ': "n", 'ø': "o", 'ɵ': "o", 'ᴏ': "o", 'þ': "p", 'ƿ': "p", 'ɋ': "q",
	'ɼ': "r", 'ʂ': "s", 'ŧ': "t", 'ƭ': "t", 'ʋ': "v", 'ʌ': "v", 'ɯ': "w", 'ƴ': "y", 'ʏ': "y", 'ƶ': "z", 'ʐ': "z", 'ß': "b", 'æ': "ae", 'œ': "oe",

	'ᴀ': "a", 'ʙ': "b", 'ᴄ': "c", 'ᴅ': "d", 'ᴇ': "e", 'ꜰ': "f", 'ʜ': "h", 'ᴊ': "j", 'ᴋ': "k", 'ʟ': "l", 'ᴍ': "m", 'ɴ': "n", 'ᴘ': "p", 'ʀ': "r", 'ꜱ': "s",
	'ᴛ': "t", 'ᴜ': "u", 'ᴠ': "v", 'ᴡ': "w", 'ᴢ': "z",

	'0': "o", '1': "l", 'i': "l", '|': "l",
}

// skeleton makes of a text what it looks like, in the way of UTS #39 section 4:
// two texts with the same skeleton are easily taken for each other.
func skeleton(s string) string {
	folded := foldLetters(s)
	if strings.Contains(folded, "rn") || strings.Contains(folded, "cl") {
		folded = strings.ReplaceAll(strings.ReplaceAll(folded, "rn", "m"), "cl", "d")
	}
	return folded
}

// foldLetters is a skeleton without the pairs of letters that look like one and
// stand in many words.
func foldLetters(s string) string {
	if !isASCII(s) {
		s = foldUnicode(s)
	}
	changed := func(r rune) bool { return r == '0' || r == '1' || r == '|' || r == 'i' || 'A' <= r && r <= 'Z' }
	if strings.ContainsFunc(s, changed) {
		s = strings.Map(func(r rune) rune {
			switch {
			case r == '0':
				return 'o'
			case r == '1' || r == '|' || r|0x20 == 'i':
				return 'l'
			case 'A' <= r && r <= 'Z':
				return r | 0x20
			}
			return r
		}, s)
	}
	for strings.Contains(s, "--") {
		s = strings.ReplaceAll(s, "--", "-")
	}
	if strings.Contains(s, "vv") {
		s = strings.ReplaceAll(s, "vv", "w")
	}
	return s
}

func foldUnicode(s string) string {
	var b strings.Builder
	for _, r := range norm.NFD.String(strings.ToLower(norm.NFKC.String(s))) {
		switch plain, ok := lookAlikes[r]; {
		case unicode.Is(unicode.Mn, r) || isInvisible(r):
		case isHyphen(r):
			b.WriteByte('-')
		case ok:
			b.WriteString(plain)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// isHyphen says whether a character is a dash that is taken for a hyphen.
func isHyphen(r rune) bool { return '\u2010' <= r && r <= '\u2015' || r == '\u2212' }

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

// isInvisible says whether a character has no width, and none of those that
// scripts need between their letters.
func isInvisible(r rune) bool {
	switch r {
	case '\u00ad', '\u034f', '\u115f', '\u1160', '\u17b4', '\u17b5', '\u180e', '\u200b', '\u2060', '\u2061', '\u2062', '\u2063', '\u2064', '\u3164', '\ufeff', '\uffa0':
		return true
	}
	return 0xe0000 <= r && r <= 0xe007f // Tags.
}

// isBidi says whether a character turns the direction of text around
// (UAX #9 2.1, 2.2, 2.4), and is no mere mark.
func isBidi(r rune) bool {
	return '\u202a' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069'
}

// commonSets are the mixtures of scripts that UTS #39 section 5.2 calls highly
// restrictive: Latin with the scripts of one East Asian language.
var commonSets = [][]string{
	{"Latin", "Han", "Hiragana", "Katakana"},
	{"Latin", "Han", "Bopomofo"},
	{"Latin", "Han", "Hangul"},
}

// maxScriptRunes bounds how much of a text is looked at for its scripts: more
// than anybody sees of a name.
const maxScriptRunes = 1000

// mixesScripts names two scripts in a label or word that is not highly
// restrictive (UTS #39 section 5.2); "" if it is.
func mixesScripts(s string) string { return mixture(s, together) }

// mixesScriptsOfName does so for a word that is not even moderately restrictive:
// in names, many languages write a Latin word without a space beside theirs. Of
// Greek, Cyrillic and Armenian the letters look too much alike.
func mixesScriptsOfName(s string) string {
	return mixture(s, func(scripts []string) bool {
		return together(scripts) || len(scripts) == 2 && slices.Contains(scripts, "Latin") &&
			!slices.ContainsFunc(scripts, func(name string) bool {
				return name == "Greek" || name == "Cyrillic" || name == "Armenian" || !slices.Contains(usualScripts, name)
			})
	})
}

// usualScripts are those that identifiers are written in today (UAX #31 table 5).
var usualScripts = []string{
	"Arabic", "Armenian", "Bengali", "Bopomofo", "Cyrillic", "Devanagari", "Ethiopic", "Georgian", "Greek", "Gujarati", "Gurmukhi", "Han", "Hangul", "Hebrew",
	"Hiragana", "Kannada", "Katakana", "Khmer", "Lao", "Latin", "Malayalam", "Myanmar", "Oriya", "Sinhala", "Tamil", "Telugu", "Thaana", "Thai", "Tibetan",
}

// unusualScript names a script of a domain that is none of usualScripts, as that
// of Lisu and Cherokee, whose letters look like Latin capitals; "" if there is
// none.
func unusualScript(domain string) string {
	for _, r := range domain {
		if name := scriptOf(r); name != "" && !slices.Contains(usualScripts, name) {
			return name
		}
	}
	return ""
}

func mixture(s string, fit func(scripts []string) bool) string {
	var scripts []string
	n := 0
	for _, r := range s {
		if n++; n > maxScriptRunes {
			break
		}
		name := scriptOf(r)
		if name == "" || slices.Contains(scripts, name) {
			continue
		}
		if scripts = append(scripts, name); len(scripts) > 1 && !fit(scripts) {
			return scripts[0] + " and " + name
		}
	}
	return ""
}

func together(scripts []string) bool {
	for _, set := range commonSets {
		if !slices.ContainsFunc(scripts, func(s string) bool { return !slices.Contains(set, s) }) {
			return true
		}
	}
	return false
}

// scriptOf names the script of a character; "" if it goes with every script.
func scriptOf(r rune) string {
	switch {
	case r < utf8.RuneSelf:
		if 'a' <= r|0x20 && r|0x20 <= 'z' {
			return "Latin"
		}
		return ""
	case unicode.Is(unicode.Common, r), unicode.Is(unicode.Inherited, r):
		return ""
	case unicode.Is(unicode.Latin, r):
		return "Latin"
	case unicode.Is(unicode.Cyrillic, r):
		return "Cyrillic"
	case unicode.Is(unicode.Han, r):
		return "Han"
	}
	for name, table := range unicode.Scripts {
		if unicode.Is(table, r) {
			return name
		}
	}
	return "unknown"
}

// uLabels writes a domain for people (RFC 5890 2.3.2.1). What is no A-label
// stays.
func uLabels(domain string) string {
	if !strings.Contains(domain, "xn--") {
		return domain
	}
	if s, err := idna.Punycode.ToUnicode(domain); err == nil {
		return s
	}
	return domain
}
