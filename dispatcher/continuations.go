package dispatcher

import (
	"bufio"

	"golang.org/x/net/http2"
)

// frameHead is the length of what an HTTP/2 frame begins with (RFC 9113 4.1).
const frameHead = 9

// continuations reads frames, and ends with a header that has more parts than
// anybody sends. The framer bounds how long a header is, but puts up with any
// number of parts without octets.
type continuations struct {
	from *bufio.Reader
	s    *stream
	head []byte // Of a frame, as far as it has come.
	left int    // Octets of the frame that have not come.
	run  int    // Frames CONTINUATION one after the other.
}

func (c *continuations) Read(p []byte) (int, error) {
	if c.run > maxControl {
		c.s.malformed = c.s.bad("sends a header in more than %d frames", maxControl)
		return 0, c.s.malformed
	}
	if len(p) == 0 {
		return 0, nil
	}
	// No further than the head or the frame, so that the run is known in between.
	want := c.left
	if want == 0 {
		want = frameHead - len(c.head)
	}
	n, err := c.from.Read(p[:min(want, len(p))])
	if c.left > 0 {
		c.left -= n
		return n, err
	}
	if c.head = append(c.head, p[:n]...); len(c.head) == frameHead {
		c.left = int(c.head[0])<<16 | int(c.head[1])<<8 | int(c.head[2])
		if http2.FrameType(c.head[3]) == http2.FrameContinuation {
			c.run++
		} else {
			c.run = 0
		}
		c.head = c.head[:0]
	}
	return n, err
}
