package smtpserver

import (
	"bufio"
	"bytes"
	"errors"
)

// maxDropped is how many octets beyond the size limit are read and dropped for
// the sake of a polite 552; whoever sends more is cut off.
const maxDropped = 64 << 20

var errTooMuchData = errors.New("smtpserver: message far beyond the size limit")

// readData reads message octets until CRLF "." CRLF into w.body and undoes
// dot-stuffing (RFC 5321 4.5.2).
//
// A line ends with CRLF and with nothing else; bare CR and LF are octets like
// any other. So "CR CR LF . CR LF" is an end of data, and "LF . LF" is not.
func (w *wire) readData() error {
	lineStart, afterCR := true, false
	for {
		// A piece is a line, or as much of it as the buffer holds: more than
		// the three octets that end the data.
		piece, err := w.in.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return err
		}
		crlf := bytes.HasSuffix(piece, []byte("\r\n")) || afterCR && piece[0] == '\n'
		afterCR = piece[len(piece)-1] == '\r'
		if lineStart && piece[0] == '.' {
			if string(piece) == ".\r\n" {
				return nil
			}
			piece = piece[1:]
		}
		lineStart = crlf
		w.body.add(piece)
		if w.body.size-w.server.opts.MaxSize > maxDropped {
			return errTooMuchData
		}
	}
}

// hasBareLineEnd reports whether a CR or LF stands alone in b (RFC 5321 2.3.8).
func hasBareLineEnd(b []byte) bool {
	pairs := bytes.Count(b, []byte("\r\n"))
	return bytes.Count(b, []byte("\r")) != pairs || bytes.Count(b, []byte("\n")) != pairs
}

// take reads n octets and hands them to use, piece by piece.
func (w *wire) take(n int64, use func([]byte)) error {
	for n > 0 {
		if _, err := w.in.Peek(1); err != nil {
			return err
		}
		piece, err := w.in.Peek(int(min(n, int64(w.in.Buffered()))))
		if err != nil {
			return err
		}
		use(piece)
		n -= int64(len(piece))
		if _, err := w.in.Discard(len(piece)); err != nil {
			return err
		}
	}
	return nil
}
