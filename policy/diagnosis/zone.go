package diagnosis

import (
	"fmt"
	"strings"
	"unicode"
)

// zoneText writes a TXT record as zone text, in strings of at most 255 octets
// (RFC 1035 3.3.14). It writes nothing if the name is none, or if the text is
// not one that anybody should publish: both may be a hostile sender's.
func zoneText(name, text string) []string {
	if !isName(name) || strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
		return nil
	}
	var b strings.Builder
	b.WriteString(name + ". TXT")
	for {
		n := min(len(text), 255)
		b.WriteString(" \"" + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text[:n]) + "\"")
		if text = text[n:]; text == "" {
			return []string{b.String()}
		}
	}
}

// worldLine writes a line of a world from words that the mail may have chosen;
// nothing if one of them would not be one word there.
func worldLine(format string, words ...string) []string {
	args := make([]any, len(words))
	for i, w := range words {
		if w == "" || strings.IndexFunc(w, func(r rune) bool { return !unicode.IsPrint(r) || strings.ContainsRune(" \"'#<>,\\", r) }) >= 0 {
			return nil
		}
		args[i] = w
	}
	return []string{fmt.Sprintf(format, args...)}
}

// texts are the TXT records of an answer in zone text, each in one piece.
func texts(answer string) []string {
	var list []string
	for line := range strings.Lines(answer) {
		var b strings.Builder
		quoted, found := false, false
		for i := 0; i < len(line); i++ {
			switch ch := line[i]; {
			case ch == '"':
				quoted, found = !quoted, true
			case !quoted:
			case ch == '\\' && i+3 < len(line) && isOctet(line[i+1:i+4]):
				b.WriteByte((line[i+1]-'0')*100 + (line[i+2]-'0')*10 + line[i+3] - '0')
				i += 3
			case ch == '\\' && i+1 < len(line):
				i++
				b.WriteByte(line[i])
			default:
				b.WriteByte(ch)
			}
		}
		if found {
			list = append(list, b.String())
		}
	}
	return list
}

// isOctet says whether three characters are an octet of zone text in decimal
// (RFC 1035 5.1).
func isOctet(s string) bool {
	return strings.Trim(s, "0123456789") == "" && s <= "255"
}
