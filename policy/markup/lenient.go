package markup

import "bytes"

// withoutComments returns a block of the same length, in which spaces stand for
// comments, as JavaScript has them, and for commas before a closing bracket.
// Google's own samples have both (gmail-actions.md 1.3, 1.7).
func withoutComments(block []byte) []byte {
	plain := bytes.Clone(block)
	comma := -1    // Where one stands that ends a value, and nothing has come after it.
	value := false // What came last may end a value.
	for i := 0; i < len(plain); i++ {
		c := plain[i]
		if c == '/' {
			if end := endOfComment(plain, i); end > i {
				blank(plain[i:end])
				i = end - 1
				continue
			}
		}
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		case '}', ']':
			if comma >= 0 {
				plain[comma] = ' '
			}
		case '"':
			i = endOfString(plain, i)
		}
		if comma = -1; c == ',' && value {
			comma = i
		}
		value = c != ',' && c != '[' && c != '{' && c != ':'
	}
	return plain
}

// endOfString returns where the string ends that begins at i: at its closing
// mark, or at the last octet.
func endOfString(text []byte, i int) int {
	for i++; i < len(text) && text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return min(i, len(text)-1)
}

// endOfComment returns the offset behind the comment that begins at i, or i if
// none does. A line end is no part of it.
func endOfComment(text []byte, i int) int {
	var end int
	switch rest := text[i:]; {
	case bytes.HasPrefix(rest, []byte("//")):
		end = bytes.IndexAny(rest, "\r\n")
	case bytes.HasPrefix(rest, []byte("/*")):
		if end = bytes.Index(rest[2:], []byte("*/")); end >= 0 {
			end += 4
		}
	default:
		return i
	}
	if end < 0 {
		return len(text)
	}
	return i + end
}

// blank keeps line ends, which say where something stands.
func blank(text []byte) {
	for i, c := range text {
		if c != '\r' && c != '\n' {
			text[i] = ' '
		}
	}
}
