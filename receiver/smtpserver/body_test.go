package smtpserver

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
)

const noRoom = "451 4.3.0 Mail server temporarily rejected message. ID - gsmtp"

// heldBy is what counts against Options.MaxHeld.
func heldBy(s *Server) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

// message is a message of n octets, at least 2, with no dot at a line's start.
func message(n int) string {
	line := strings.Repeat("x", 98) + "\r\n"
	return strings.Repeat("y", n%len(line)) + strings.Repeat(line, n/len(line))
}

// transaction is the envelope, and a message by DATA or by BDAT: its command,
// without the octets, and what comes after them.
func transaction(verb string, size int) (begin, end string) {
	begin = "MAIL FROM:<>\r\nRCPT TO:<u@gmail.test>\r\n"
	if verb == "DATA" {
		return begin + "DATA\r\n", ".\r\n"
	}
	return begin + fmt.Sprintf("BDAT %d LAST\r\n", size), ""
}

// begun reads the replies to transaction's beginning.
func (c *client) begun(verb string) {
	c.t.Helper()
	c.wantCode("250 2.1.0 ")
	c.wantCode("250 2.1.5 ")
	if verb == "DATA" {
		c.wantCode("354 ")
	}
}

// deliver sends a message and wants an answer.
func (c *client) deliver(verb, raw, want string) {
	c.t.Helper()
	begin, end := transaction(verb, len(raw))
	go c.send(begin + raw + end)
	c.begun(verb)
	c.want(want)
}

// TestMaxHeld: a session in the middle of a message takes room from others, but
// not all, and gives it back.
func TestMaxHeld(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	for _, verb := range []string{"DATA", "BDAT"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := &box{}
				s := newServer(t, b, func(o *Options) { o.MaxSize, o.MaxHeld = limit, limit })
				b.onDeliver = func(_ context.Context, _ Envelope, raw []byte) Reply {
					if held := heldBy(s); len(raw) > headSize && held < int64(len(raw)-headSize) {
						t.Errorf("%d octets held in the delivery of %d", held, len(raw))
					}
					return Reply{Code: 250}
				}
				large := message(700_000)
				slow, other := dialPipe(t, s), dialPipe(t, s)
				slow.hello()
				other.hello()
				begin, end := transaction(verb, len(large))
				slow.send(begin)
				slow.begun(verb)
				slow.send(large[:600_000])
				synctest.Wait()
				if held := heldBy(s); held < 600_000-headSize || held > limit {
					t.Errorf("%d octets held", held)
				}
				before := heldBy(s)
				other.deliver(verb, large, noRoom)
				if held := heldBy(s); held != before {
					t.Errorf("%d octets held, then %d", before, held)
				}
				other.deliver(verb, message(headSize), accepted)
				slow.send(large[600_000:] + end)
				slow.want(accepted)
				other.deliver(verb, message(limit), accepted)
				other.cmd("QUIT", "221")
				synctest.Wait()
				if held := heldBy(s); held != 0 {
					t.Errorf("%d octets held in the end", held)
				}
				for i, want := range []string{message(headSize), large, message(limit)} {
					if got := b.all()[i].raw; got != want {
						t.Errorf("message %d is broken: %d octets, want %d", i, len(got), len(want))
					}
				}
			})
		})
	}
}

// TestRoomIsGivenBack whatever becomes of a message.
func TestRoomIsGivenBack(t *testing.T) {
	t.Parallel()
	const limit = 200_000
	large := message(150_000)
	for name, end := range map[string]func(c *client){
		"reset":                  func(c *client) { c.cmd("RSET", "250 2.1.5 ") },
		"greeted again":          func(c *client) { c.hello() },
		"too large":              func(c *client) { c.send("BDAT 99999\r\n" + message(99_999)); c.wantCode("552-5.3.4 ") },
		"refused for line ends":  func(c *client) { c.send("BDAT 1 LAST\r\n\n"); c.wantCode("554 5.6.0 ") },
		"lost":                   func(c *client) { c.conn.Close() },
		"hung up on":             func(c *client) { c.send("NOOP\n"); c.wantCode("555-5.5.2 ") },
		"backend that panicked":  func(c *client) { c.send("BDAT 0 LAST\r\n"); c.want(shutDown) },
		"lost in the next chunk": func(c *client) { c.send("BDAT 9000\r\nxxx"); c.conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := &box{onDeliver: func(context.Context, Envelope, []byte) Reply { panic("no") }}
				s := newServer(t, b, func(o *Options) {
					o.MaxSize, o.MaxHeld = limit, limit
					o.BareLineEnds = func() BareLineEnds { return BareLineEndsReject }
				})
				c := dialPipe(t, s)
				c.envelope()
				c.send(fmt.Sprintf("BDAT %d\r\n", len(large)) + large)
				c.want("250 2.0.0 OK ID - gsmtp")
				if heldBy(s) == 0 {
					t.Error("nothing held")
				}
				end(c)
				synctest.Wait()
				if held := heldBy(s); held != 0 {
					t.Errorf("%d octets held", held)
				}
			})
		})
	}
}

// TestBody: octets come out as they went in, in not much more room, and never
// in more than the largest message has.
func TestBody(t *testing.T) {
	t.Parallel()
	const limit = 5<<20 + 12345
	s := newServer(t, &box{}, func(o *Options) { o.MaxSize, o.MaxHeld = limit, limit })
	rnd := rand.New(rand.NewPCG(1, 2))
	b := body{server: s}
	for _, size := range []int{0, 1, headSize - 1, headSize, headSize + 1, 2*headSize + 1, 1 << 20, limit - 1, limit, limit + 1, 10} {
		want := make([]byte, size)
		for i := range want {
			want[i] = byte(rnd.Uint32())
		}
		for p := want; len(p) > 0; {
			n := min(len(p), 1+rnd.IntN(40_000))
			b.add(p[:n])
			p = p[n:]
			if room := b.charged + headSize; room > limit || room > max(2*b.size, headSize) || room > max(b.size, headSize)+maxPiece {
				t.Fatalf("%d octets in %d", b.size, room)
			}
			if held := heldBy(s); held != b.charged {
				t.Fatalf("%d octets held, %d charged", held, b.charged)
			}
		}
		if b.dropped != (size > limit) || b.size != int64(size) {
			t.Errorf("size %d: %d, dropped: %v", size, b.size, b.dropped)
		}
		if raw := b.join(); !b.dropped && string(raw) != string(want) {
			t.Errorf("size %d: got %d octets", size, len(raw))
		}
		b.reset()
	}
	if held := heldBy(s); held != 0 {
		t.Errorf("%d octets held in the end", held)
	}
}
