package smtpserver

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// bdat deals with BDAT (RFC 3030). The octets of a chunk are read whatever
// becomes of it, so that they are never taken for commands. With the last
// chunk, go-smtp is fed DATA, so that there is one way for all messages.
func (w *wire) bdat(arg string) string {
	size, last, ok := parseChunk(arg)
	if !ok {
		// Nobody knows how many octets follow.
		w.hangUp(replySyntaxBye)
		return ""
	}
	if refusal := w.outOfOrder(); refusal != nil {
		if w.drop(size) {
			w.reply(*refusal)
		}
		return ""
	}
	if size > w.server.opts.MaxSize-w.body.size {
		if !w.drop(size) {
			return ""
		}
		// The message has failed as a whole; chunks already on their way get
		// 503, as there is no transaction for them.
		return w.feed("RSET\r\n", 250, replyTooLarge(total(w.body.size, size), w.server.opts.MaxSize))
	}
	w.chunked = true
	w.setInMessage(true)
	if err := w.take(size, w.body.add); err != nil {
		w.lost(err)
		return ""
	}
	switch {
	case w.body.dropped:
		return w.feed("RSET\r\n", 250, replyNoRoom)
	case last:
		return w.feed("DATA\r\n", 0, Reply{})
	}
	w.reply(replyOK)
	return ""
}

// outOfOrder says why there can be no message data now; nil if there can.
func (w *wire) outOfOrder() *Reply {
	switch {
	case !w.greeted:
		return &replyHelloFirst
	case !w.open:
		return &replyMailFirst
	case len(w.env.Rcpts) == 0:
		return &replyRcptFirst
	}
	return nil
}

// total is a+b, or the largest number if that is too large for one.
func total(a, b int64) int64 { return a + min(b, math.MaxInt64-a) }

// drop reads n octets of a refused chunk. It is false if the session is over,
// because they are too many or did not come in time.
func (w *wire) drop(n int64) bool {
	if n-w.server.opts.MaxSize > maxDropped {
		w.hangUp(replyFarTooLarge)
		return false
	}
	w.due = time.Now().Add(w.server.opts.MessageTimeout)
	if err := w.take(n, func([]byte) {}); err != nil {
		w.lost(err)
		return false
	}
	return true
}

// parseChunk parses the argument of BDAT: a size, and perhaps LAST.
func parseChunk(arg string) (size int64, last, ok bool) {
	digits, rest, more := strings.Cut(arg, " ")
	if more {
		if asciiUpper(rest) != "LAST" {
			return 0, false, false
		}
		last = true
	}
	if !isDigits(digits) {
		return 0, false, false
	}
	size, err := strconv.ParseInt(digits, 10, 64)
	return size, last, err == nil
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
