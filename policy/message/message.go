// Package message reads an RFC 5322 message as it came: header fields in
// order, addresses, MIME parts. It never fails and repairs nothing; what is
// wrong is a problem with a place.
//
// It does not judge a message, does not look inside message/rfc822 parts, and
// does not render anything.
package message

import (
	"strings"

	"github.com/doppelbox/doppelbox/policy"
)

// Field is one header field (RFC 5322 2.2), as written.
type Field struct {
	Name  string // White space before the colon is removed.
	Value string // Everything after the colon, folding and final line end included.
	Raw   []byte // The whole field with its line ends: a slice of Message.Raw.

	line int // Line of the message on which the field starts, from 1.
}

// Unfolded returns the value without the line ends of its folding (RFC 5322
// 2.2.3) and without white space at its ends.
func (f Field) Unfolded() string { return unfold(f.Value) }

// Is reports whether f has that name. Case does not matter.
func (f Field) Is(name string) bool {
	return len(f.Name) == len(name) && strings.EqualFold(f.Name, name)
}

// Message is a message whose header has been read.
//
// Raw is, without gap or overlap and in this order: Fields and Skipped as they
// alternate, the empty line if there is one, and Body.
type Message struct {
	Raw    []byte
	Fields []Field
	// Skipped are the runs of header lines that are no field, as written. Each
	// has a problem.
	Skipped [][]byte
	Body    []byte // After the empty line: a slice of Raw.
	// Problems are those of the lines and of the header block. What is wrong
	// with the content of a field is found by Header, with a part by Parts.
	Problems []policy.Problem
	// HeaderSize is the size of the header in octets, without the empty line.
	HeaderSize int
}

// All returns the fields of that name, in order. Case does not matter.
func (m *Message) All(name string) []Field { return fieldsNamed(m.Fields, name) }

// Get returns the first field of that name.
func (m *Message) Get(name string) (Field, bool) {
	for _, f := range m.Fields {
		if f.Is(name) {
			return f, true
		}
	}
	return Field{}, false
}

func fieldsNamed(fields []Field, name string) []Field {
	var list []Field
	for _, f := range fields {
		if f.Is(name) {
			list = append(list, f)
		}
	}
	return list
}

// unfold removes line ends that are followed by white space, which is all of
// them but the last, and trims the rest.
func unfold(s string) string {
	if strings.IndexByte(s, '\n') < len(s)-2 && strings.Contains(s, "\n") {
		s = strings.ReplaceAll(s, "\r\n", "")
		s = strings.ReplaceAll(s, "\n", "")
	}
	return strings.Trim(s, " \t\r\n")
}
