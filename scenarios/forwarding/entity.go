package forwarding

import (
	"bytes"
	"fmt"
	"mime"
	"strings"

	"github.com/doppelbox/doppelbox/policy/message"
)

const (
	// maxDepth and maxParts are those of policy/message: what it does not see
	// is not changed here either.
	maxDepth = 20
	maxParts = 1000
)

// entity is a leaf of a MIME tree.
type entity struct {
	*message.Message
	typ    string // Media type in lower case.
	params map[string]string
}

// file reports whether the leaf is meant as a file and not as text to read.
func (e entity) file() bool {
	f, _ := e.Get("Content-Disposition")
	word, _, _ := strings.Cut(f.Unfolded(), ";")
	return strings.EqualFold(strings.TrimSpace(word), "attachment")
}

// encoding returns the transfer encoding in lower case; 7bit if none is stated.
func (e entity) encoding() string {
	f, ok := e.Get("Content-Transfer-Encoding")
	if !ok {
		return "7bit"
	}
	return strings.ToLower(f.Unfolded())
}

// walker goes through a MIME tree and puts it together again. What visit
// returns takes the place of a leaf; everything else stays as it is.
type walker struct {
	visit func(entity) ([]byte, error)
	parts int
}

// walk visits the leaves of a message in order. What is inside a message/rfc822
// part is not walked.
func walk(raw []byte, visit func(entity) ([]byte, error)) ([]byte, error) {
	w := walker{visit: visit}
	return w.entity(raw, 0, "text/plain")
}

func (w *walker) entity(raw []byte, depth int, fallback string) ([]byte, error) {
	e := entity{Message: message.Parse(raw), typ: fallback}
	if f, ok := e.Get("Content-Type"); ok {
		typ, params, err := mime.ParseMediaType(f.Unfolded())
		if err != nil {
			typ, params = "application/octet-stream", nil // Left alone: it cannot be told what it is.
		}
		e.typ, e.params = typ, params
	}
	boundary := e.params["boundary"]
	if !strings.HasPrefix(e.typ, "multipart/") || boundary == "" || depth == maxDepth {
		if w.parts++; w.parts > maxParts {
			return nil, fmt.Errorf("the original has more than %d parts", maxParts)
		}
		return w.visit(e)
	}
	fallback = "text/plain"
	if e.typ == "multipart/digest" {
		fallback = "message/rfc822" // RFC 2046 5.1.5.
	}
	out := bytes.NewBuffer(make([]byte, 0, len(raw)+len(raw)/8))
	out.Write(raw[:len(raw)-len(e.Body)])
	if err := w.multipart(out, e.Body, boundary, func(part []byte) ([]byte, error) {
		return w.entity(part, depth+1, fallback)
	}); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// multipart copies a multipart's body, with each part as change returns it. The
// line end before a delimiter belongs to the delimiter (RFC 2046 5.1.1).
func (w *walker) multipart(out *bytes.Buffer, body []byte, boundary string, change func([]byte) ([]byte, error)) error {
	delimiter := []byte("--" + boundary)
	copied, inside := 0, false
	part := func(end int) error {
		if !inside {
			out.Write(body[copied:end])
			copied = end
			return nil
		}
		start := copied
		copied = max(start, end-len(lastLineEnd(body[:end])))
		changed, err := change(body[start:copied])
		out.Write(changed)
		return err
	}
	for pos := 0; pos < len(body); {
		size := lineSize(body[pos:])
		after, ok := bytes.CutPrefix(bytes.TrimRight(body[pos:pos+size], " \t\r\n"), delimiter)
		last := string(after) == "--"
		if ok && (last || len(after) == 0) {
			if err := part(pos); err != nil {
				return err
			}
			out.Write(body[copied : pos+size])
			copied, inside = pos+size, !last
			if last {
				break
			}
		}
		pos += size
	}
	if inside {
		changed, err := change(body[copied:])
		out.Write(changed)
		return err
	}
	out.Write(body[copied:])
	return nil
}

// findField returns where the first field of a name is in Raw; the size is 0 if
// there is none.
func findField(m *message.Message, name string) (start, size int) {
	for _, f := range m.Fields {
		// Between fields there may be lines that are none.
		for !bytes.HasPrefix(m.Raw[start:], f.Raw) {
			start += lineSize(m.Raw[start:])
		}
		if f.Is(name) {
			return start, len(f.Raw)
		}
		start += len(f.Raw)
	}
	return 0, 0
}

// lineSize returns the size of the first line with its end.
func lineSize(b []byte) int {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return i + 1
	}
	return len(b)
}

// lastLineEnd returns the line end with which b ends, if any.
func lastLineEnd(b []byte) []byte {
	switch {
	case bytes.HasSuffix(b, []byte("\r\n")):
		return b[len(b)-2:]
	case bytes.HasSuffix(b, []byte("\n")):
		return b[len(b)-1:]
	}
	return nil
}

// lineEndOf returns the line end that a message uses.
func lineEndOf(raw []byte) string {
	if i := bytes.IndexByte(raw, '\n'); i == 0 || i > 0 && raw[i-1] != '\r' {
		return "\n"
	}
	return "\r\n"
}
