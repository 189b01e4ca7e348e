package mailauth

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"time"

	"github.com/doppelbox/doppelbox/policy/message"
)

// idSource derives ids in the shapes of gmail-inbound.md 1.2 from a receipt.
type idSource struct {
	sum  [sha256.Size]byte
	used int
}

// newIDSource takes of the message what tells two of one session apart: its
// header and its length.
func newIDSource(m *message.Message, r Receipt) *idSource {
	h := sha256.New()
	fmt.Fprintf(h, "%q %d %q %q %q %q %d ", r.Account, r.At.UnixNano(), r.Arrival.Session, r.Arrival.Rcpt, r.Arrival.MailFrom, r.Arrival.HELO, len(m.Raw))
	if f := r.Arrival.Fetch; f != nil {
		io.WriteString(h, f.UID)
	}
	h.Write(m.Raw[:m.HeaderSize])
	ids := &idSource{}
	h.Sum(ids.sum[:0])
	return ids
}

func (s *idSource) next() byte {
	if s.used == len(s.sum) {
		s.sum, s.used = sha256.Sum256(s.sum[:]), 0
	}
	s.used++
	return s.sum[s.used-1]
}

// pick returns n characters of an alphabet.
func (s *idSource) pick(n int, alphabet string) string {
	text := make([]byte, n)
	for i := range text {
		text[i] = alphabet[int(s.next())%len(alphabet)]
	}
	return string(text)
}

const (
	idDigits  = "123456789" // No zero, as numbers do not begin with one.
	idHex     = "0123456789abcdef"
	idLetters = "abcdefghijklmnopqrstuvwxyz"
)

// session makes an id of a session: from outside is "si", from the POP3 fetcher
// "mf".
func (s *idSource) session(infix string) string {
	return s.pick(13, idHex) + "-" + s.pick(11, idHex) + infix + s.pick(9, idDigits) + s.pick(1, idLetters[:6]) + "." + s.pick(2, idDigits)
}

// delivery makes an id of the internal delivery.
func (s *idSource) delivery() string {
	return s.pick(1, idLetters) + s.pick(1, idDigits) + "csp" + s.pick(7, idDigits) + s.pick(3, idLetters)
}

// transfer makes an id of the step before it, which ends in milliseconds.
func (s *idSource) transfer(at time.Time) string {
	return s.pick(2, idDigits) + "mr" + s.pick(7, idDigits) + s.pick(3, idLetters) + "." + s.pick(2, idDigits) + "." + strconv.FormatInt(at.UnixMilli(), 10)
}

// address makes the address of an internal host: 2001:db8::/32 is for
// documentation (RFC 3849), where Gmail has 2002::/16.
func (s *idSource) address() string {
	a := [16]byte{0x20, 0x01, 0x0d, 0xb8}
	for i := 4; i < len(a); i++ {
		a[i] = s.next()
	}
	return netip.AddrFrom16(a).String()
}
