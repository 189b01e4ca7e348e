package quote

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// prefix is what the beginning of a Subject says of the mail.
type prefix int

const (
	prefixNone prefix = iota
	prefixForward
	prefixReply
	prefixVS // Forward in Danish and Norwegian, reply in Finnish.
)

// prefixes are the words before the first colon of Subject, in lower case. The
// mails of Outlook say by nothing else whether they are replies or forwards.
// Those for forwards that are not among the prefixes of a wording, and those for
// replies but "Re", are in common use and were not checked against samples.
var prefixes = map[string]prefix{
	"fwd": prefixForward, "fw": prefixForward, // Everybody.
	"wg": prefixForward, "aw": prefixReply, "antwort": prefixReply, // de
	"tr": prefixForward, "rép": prefixReply, "rep": prefixReply, // fr
	"rv": prefixForward,                                       // es
	"i":  prefixForward, "r": prefixReply, "rif": prefixReply, // it
	"enc": prefixForward, "res": prefixReply, // pt
	"vb": prefixForward, "sv": prefixReply, // sv; "SV" is also da and no
	"videresend": prefixForward, "vs": prefixVS, // no, da
	"vl": prefixForward,                     // fi
	"pd": prefixForward, "odp": prefixReply, // pl
	"doorst": prefixForward, "antw": prefixReply, // nl
	"ilt": prefixForward, "ynt": prefixReply, // tr
	"redir":      prefixForward,                    // ro
	"továbbítás": prefixForward, "vá": prefixReply, // hu
	"πρθ": prefixForward, "απ": prefixReply, // el
	"转发": prefixForward, "轉寄": prefixForward, "答复": prefixReply, "回复": prefixReply, "回覆": prefixReply, // zh
	"re": prefixReply, // Everybody.
}

// maxPrefix bounds the prefix of a Subject, in octets.
const maxPrefix = 32

// prefixOf returns what a decoded Subject begins with. The names that lists and
// gateways put in brackets before it are passed over.
func prefixOf(subject string) prefix {
	subject = strings.TrimSpace(subject)
	for strings.HasPrefix(subject, "[") {
		_, rest, ok := strings.Cut(subject, "]")
		if !ok {
			return prefixNone
		}
		subject = strings.TrimSpace(rest)
	}
	end := strings.IndexAny(subject, ":：")
	if end < 0 || end > maxPrefix || !utf8.ValidString(subject[:end]) {
		return prefixNone
	}
	// "Re[2]", "Re^3", "Fwd (2)" and "Redir." count like the word alone.
	word := strings.TrimRightFunc(subject[:end], func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsDigit(r) || strings.ContainsRune("[]()^*.", r)
	})
	return prefixes[string(fold(make([]byte, 0, maxWords), []byte(word)))]
}
