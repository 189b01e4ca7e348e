package mailauth

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"strings"

	"github.com/doppelbox/doppelbox/policy/message"
)

// Canonicalization is an algorithm of RFC 6376 3.4. A line that ends in a bare
// LF is taken as one that ends in CRLF (RFC 6376 5.3).
type Canonicalization string

// The algorithms. The zero value of an option is relaxed.
const (
	Simple  Canonicalization = "simple"
	Relaxed Canonicalization = "relaxed"
)

// canonHash hashes canonical text. It collects it first, because many small
// writes to a hash cost more than the hashing.
type canonHash struct {
	hash  hash.Hash
	buf   []byte
	limit int64 // How many octets are hashed at most; negative is all.
	total int64 // How many there are.
}

func newCanonHash() *canonHash {
	return &canonHash{hash: sha256.New(), buf: make([]byte, 0, flushAt+flushAt/4), limit: -1}
}

// reset starts another hash.
func (c *canonHash) reset(limit int64) {
	c.hash.Reset()
	c.buf, c.limit, c.total = c.buf[:0], limit, 0
}

// flushAt is when collected text is hashed: enough for few writes, and little
// to allocate for each message.
const flushAt = 1024

func (c *canonHash) flush() {
	n := int64(len(c.buf))
	if c.limit >= 0 {
		n = max(0, min(n, c.limit-c.total))
	}
	c.hash.Write(c.buf[:n])
	c.total += int64(len(c.buf))
	c.buf = c.buf[:0]
}

func (c *canonHash) sum() []byte {
	c.flush()
	return c.hash.Sum(nil)
}

func (c *canonHash) newline() { c.buf = append(c.buf, '\r', '\n') }

// body adds a body (RFC 6376 3.4.3, 3.4.4).
func (c *canonHash) body(body []byte, algorithm Canonicalization) {
	empty, written := 0, false // Empty lines count only if another line follows.
	for len(body) > 0 {
		var line []byte
		line, body = cutLine(body)
		if algorithm == Relaxed {
			line = bytes.TrimRight(line, " \t")
		}
		if len(line) == 0 {
			empty++
			continue
		}
		for ; empty > 0; empty-- {
			c.newline()
			if len(c.buf) > flushAt {
				c.flush()
			}
		}
		if algorithm == Relaxed {
			c.relaxedText(line)
		} else {
			c.text(line)
		}
		c.newline()
		written = true
	}
	if !written && algorithm == Simple {
		c.newline()
	}
}

// text adds octets as they are.
func (c *canonHash) text(b []byte) {
	for {
		n := min(len(b), flushAt)
		c.buf = append(c.buf, b[:n]...)
		if len(c.buf) > flushAt {
			c.flush()
		}
		if b = b[n:]; len(b) == 0 {
			return
		}
	}
}

// relaxedText adds text with each run of white space as one space.
func (c *canonHash) relaxedText(b []byte) {
	start := 0
	for i := 0; i < len(b); i++ {
		if b[i] != ' ' && b[i] != '\t' {
			continue
		}
		if b[i] == ' ' && i+1 < len(b) && b[i+1] != ' ' && b[i+1] != '\t' {
			continue // A single space stands as it is.
		}
		c.text(b[start:i])
		c.buf = append(c.buf, ' ')
		for i+1 < len(b) && (b[i+1] == ' ' || b[i+1] == '\t') {
			i++
		}
		start = i + 1
	}
	c.text(b[start:])
}

// cutLine cuts the first line off, without its end.
func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return b, nil
	}
	line, rest = b[:i], b[i+1:]
	if i > 0 && line[i-1] == '\r' {
		line = line[:i-1]
	}
	return line, rest
}

// field adds a header field and its CRLF (RFC 6376 3.4.1, 3.4.2).
func (c *canonHash) field(f message.Field, algorithm Canonicalization) {
	value := f.Raw[len(f.Raw)-len(f.Value):]
	c.fieldParts(f, value, nil, algorithm)
	c.newline()
}

// fieldParts adds a field whose value is given in two parts, without the line
// end of the last.
func (c *canonHash) fieldParts(f message.Field, first, second []byte, algorithm Canonicalization) {
	if algorithm == Simple {
		c.text(f.Raw[:len(f.Raw)-len(f.Value)])
		c.simpleValue(first, second)
		return
	}
	for i := range len(f.Name) {
		b := f.Name[i]
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		c.buf = append(c.buf, b)
	}
	c.buf = append(c.buf, ':')
	space, started := false, false
	for _, part := range [][]byte{first, second} {
		space, started = c.relaxedValue(part, space, started)
	}
}

// simpleValue adds a value with CRLF for each line end but the last.
func (c *canonHash) simpleValue(first, second []byte) {
	if len(second) == 0 {
		first = trimLineEnd(first)
	}
	for _, part := range [][]byte{first, trimLineEnd(second)} {
		for {
			i := bytes.IndexByte(part, '\n')
			if i < 0 {
				c.text(part)
				break
			}
			var line []byte
			line, part = cutLine(part)
			c.text(line)
			c.newline()
		}
	}
}

func trimLineEnd(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		if b = b[:n-1]; n > 1 && b[n-2] == '\r' {
			b = b[:n-2]
		}
	}
	return b
}

// relaxedValue adds a part of a value: unfolded, runs of white space as one
// space, none at the ends. space says that white space came before the part,
// started that something else did.
func (c *canonHash) relaxedValue(b []byte, space, started bool) (bool, bool) {
	for i := 0; i < len(b); {
		switch {
		case b[i] == ' ' || b[i] == '\t':
			space = true
			i++
			continue
		case b[i] == '\n' || b[i] == '\r' && i+1 < len(b) && b[i+1] == '\n':
			i++
			continue
		}
		if space && started {
			c.buf = append(c.buf, ' ')
		}
		space, started = false, true
		start := i
		for i < len(b) && b[i] != ' ' && b[i] != '\t' && b[i] != '\n' && (b[i] != '\r' || i+1 == len(b) || b[i+1] != '\n') {
			i++
		}
		c.text(b[start:i])
	}
	return space, started
}

// fieldPicker finds the fields that h= names: for each time that a name
// stands there, the next instance from the bottom (RFC 6376 5.4.2).
type fieldPicker struct {
	fields []message.Field
	used   []bool
}

// next returns the place of the field to sign for a name; ok is false if all
// of them are used or there is none.
func (p *fieldPicker) next(name string) (int, bool) {
	for i := len(p.fields) - 1; i >= 0; i-- {
		if f := &p.fields[i]; !p.used[i] && len(f.Name) == len(name) && strings.EqualFold(f.Name, name) {
			p.used[i] = true
			return i, true
		}
	}
	return 0, false
}
