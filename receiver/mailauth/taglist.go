package mailauth

import (
	"fmt"
	"strings"
)

// maxTags bounds the tags of a signature, key or DMARC record. The registries
// have 13, 7 and 12.
const maxTags = 64

// fws is the white space that folding leaves in a tag list (RFC 6376 2.8).
const fws = " \t\r\n"

// tag is one name=value of a tag list.
type tag struct {
	name, value string
	// start and end are where the value stands in the list, white space
	// around it included.
	start, end int
}

// tagList is a tag list of RFC 6376 3.2.
type tagList []tag

// get returns the value of a tag.
func (l tagList) get(name string) (value string, ok bool) {
	for _, t := range l {
		if t.name == name {
			return t.value, true
		}
	}
	return "", false
}

// parseTags reads a tag list. A tag that stands twice makes all of it invalid,
// as RFC 6376 3.2 says; so does anything that is no tag.
func parseTags(s string) (tagList, error) {
	list := make(tagList, 0, 14)
	for pos := 0; pos < len(s); {
		end := strings.IndexByte(s[pos:], ';')
		if end < 0 {
			end = len(s)
		} else {
			end += pos
		}
		t, err := parseTag(s, pos, end)
		switch {
		case err != nil:
			return nil, err
		case t.name == "" && end == len(s) && pos > 0:
			return list, nil // The list may end in a semicolon.
		case t.name == "":
			return nil, fmt.Errorf("an empty tag")
		}
		if _, twice := list.get(t.name); twice {
			return nil, fmt.Errorf("tag %s= stands twice", t.name)
		}
		if len(list) == maxTags {
			return nil, fmt.Errorf("more than %d tags", maxTags)
		}
		list = append(list, t)
		pos = end + 1
	}
	return list, nil
}

// parseTag reads the tag between two places of s; its name is empty if there
// is only white space.
func parseTag(s string, pos, end int) (tag, error) {
	part := s[pos:end]
	eq := strings.IndexByte(part, '=')
	if eq < 0 {
		if part = strings.Trim(part, fws); part != "" {
			return tag{}, fmt.Errorf("%q is no tag", clip(part))
		}
		return tag{}, nil
	}
	name := strings.Trim(part[:eq], fws)
	if !isTagName(name) {
		return tag{}, fmt.Errorf("%q is no tag name", clip(name))
	}
	return tag{name: name, value: strings.Trim(part[eq+1:], fws), start: pos + eq + 1, end: end}, nil
}

func isTagName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !isAlpha(c) && (i == 0 || c != '_' && !isDigit(c)) {
			return false
		}
	}
	return s != ""
}

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// removeFWS removes all white space; most values have none.
func removeFWS(s string) string {
	if !strings.ContainsAny(s, fws) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		if strings.IndexByte(fws, s[i]) < 0 {
			b = append(b, s[i])
		}
	}
	return string(b)
}

// clip shortens what a problem quotes.
func clip(s string) string {
	const limit = 60
	if len(s) > limit {
		return s[:limit] + "..."
	}
	return s
}
