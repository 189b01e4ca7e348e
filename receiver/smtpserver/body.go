package smtpserver

const (
	// headSize is how much of a message a session may gather without asking. It
	// keeps the buffer for its next message.
	headSize = 64 << 10
	// maxPiece is the size of the pieces in which a large message is gathered.
	// A session holds at most one that is not full.
	maxPiece = 1 << 20
)

// body gathers the octets of one message. The first are in head, all others in
// pieces, which are never copied to grow and count against Options.MaxHeld.
type body struct {
	server  *Server
	size    int64 // Octets of the message so far, kept or not.
	head    []byte
	pieces  [][]byte
	charged int64 // What the pieces can hold.
	dropped bool  // The octets are counted, but not kept.
}

// add appends p. A body that gets too large, or that the server has no room
// for, is dropped: others can have its room while the rest of it is read.
func (b *body) add(p []byte) {
	b.size += int64(len(p))
	if b.size > b.server.opts.MaxSize {
		b.drop()
	}
	if b.dropped {
		return
	}
	n := min(len(p), headSize-len(b.head))
	b.head = append(b.head, p[:n]...)
	for p = p[n:]; len(p) > 0; p = p[n:] {
		i := len(b.pieces) - 1
		if i < 0 || len(b.pieces[i]) == cap(b.pieces[i]) {
			if !b.grow() {
				b.drop()
				return
			}
			i++
		}
		n = min(len(p), cap(b.pieces[i])-len(b.pieces[i]))
		b.pieces[i] = append(b.pieces[i], p[:n]...)
	}
}

// grow adds an empty piece. All others are full, so that the first ones double
// what b can hold; together they never hold more than the largest message.
func (b *body) grow() bool {
	n := min(max(b.charged, headSize), maxPiece, b.server.opts.MaxSize-headSize-b.charged)
	if !b.server.hold(n) {
		return false
	}
	b.charged += n
	var piece []byte
	if n == maxPiece {
		if spare, ok := b.server.spares.Get().(*[maxPiece]byte); ok {
			piece = spare[:0]
		}
	}
	if piece == nil {
		piece = make([]byte, 0, n)
	}
	b.pieces = append(b.pieces, piece)
	return true
}

// forget lets go of the pieces, whose octets nobody else has seen.
func (b *body) forget() {
	for _, piece := range b.pieces {
		if cap(piece) == maxPiece {
			b.server.spares.Put((*[maxPiece]byte)(piece[:maxPiece]))
		}
	}
	b.pieces = nil
}

// drop forgets the octets, and keeps none from now on.
func (b *body) drop() {
	b.dropped = true
	b.head = b.head[:0]
	b.forget()
	b.server.hold(-b.charged)
	b.charged = 0
}

// reset makes b the body of a new message.
func (b *body) reset() {
	b.drop()
	b.size, b.dropped = 0, false
}

// join returns the octets in a slice of their own. They still count as held,
// until reset. Of large messages one is copied at a time, so that there are
// never two copies of all that is held.
func (b *body) join() []byte {
	if len(b.pieces) > 0 {
		b.server.joining.Lock()
		defer b.server.joining.Unlock()
	}
	raw := append(make([]byte, 0, b.size), b.head...)
	for _, piece := range b.pieces {
		raw = append(raw, piece...)
	}
	b.forget()
	return raw
}
