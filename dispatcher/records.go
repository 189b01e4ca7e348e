package dispatcher

import "net"

// recordHead is the length of what a TLS record begins with (RFC 8446 5.1).
const recordHead = 5

// records is a connection that knows whether what has been read of it ends with a
// TLS record: crypto/tls keeps a part of one to itself, where nobody sees it, and
// the rest may come when the answer to another request is waited for.
type records struct {
	net.Conn
	head []byte // Of a record, as far as it has come.
	left int    // Octets of the record that have not come.
}

func (r *records) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	for rest := p[:max(n, 0)]; len(rest) > 0; {
		if r.left > 0 {
			part := min(r.left, len(rest))
			r.left, rest = r.left-part, rest[part:]
			continue
		}
		r.head, rest = append(r.head, rest[0]), rest[1:]
		if len(r.head) == recordHead {
			r.left, r.head = int(r.head[3])<<8|int(r.head[4]), r.head[:0]
		}
	}
	return n, err
}

// whole tells whether nothing but whole records has been read.
func (r *records) whole() bool { return len(r.head) == 0 && r.left == 0 }
