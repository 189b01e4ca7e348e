package dispatcher

import (
	"net/netip"
	"sync"
	"time"
)

// idleLimit is how long a connection waits for its next request, in real time.
// It is less than the five seconds after which hasty servers close theirs.
const idleLimit = 4 * time.Second

// linkKey is what two requests must have in common to use the same connection:
// the address that was checked, the host whose certificate was demanded, and
// where it was dialled from.
type linkKey struct {
	addr   netip.AddrPort
	host   string
	source netip.Addr
}

// keeper holds the connections that wait for another request. Each is watched by
// a goroutine, so that one that the service closes is not used again.
type keeper struct {
	perKey, most int

	mu     sync.Mutex
	idle   map[linkKey][]*link // The one that was used last is last.
	count  int
	closed bool
	watch  sync.WaitGroup
}

// keep has a link wait for another request, or closes it.
func (k *keeper) keep(l *link) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || k.count >= k.most || len(k.idle[l.key]) >= k.perKey {
		l.close()
		return
	}
	if k.idle == nil {
		k.idle = make(map[linkKey][]*link)
	}
	k.idle[l.key] = append(k.idle[l.key], l)
	k.count++
	l.rested = make(chan bool, 1)
	// An error would be that the connection is closed, which reading tells, too.
	_ = l.conn.SetReadDeadline(time.Now().Add(idleLimit))
	k.watch.Go(func() { k.rest(l) })
}

// rest waits until a link is taken, or is of no use any more: it was closed, or
// something came that nobody asked for, or it has waited too long.
func (k *keeper) rest(l *link) {
	_, err := l.reader.Peek(1)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.remove(l) {
		l.close()
	}
	// For whoever has taken it: it was interrupted, and by nothing else, nor has a
	// part of something come.
	l.rested <- timedOut(err) && l.records.whole()
}

// remove takes a link out; false if somebody else has done so.
func (k *keeper) remove(l *link) bool {
	list := k.idle[l.key]
	for i, other := range list {
		if other != l {
			continue
		}
		if list = append(list[:i], list[i+1:]...); len(list) == 0 {
			delete(k.idle, l.key)
		} else {
			k.idle[l.key] = list
		}
		k.count--
		return true
	}
	return false
}

// take returns a link that waits and can be used, nil if there is none.
func (k *keeper) take(key linkKey) *link {
	for {
		k.mu.Lock()
		list := k.idle[key]
		if len(list) == 0 {
			k.mu.Unlock()
			return nil
		}
		l := list[len(list)-1]
		k.remove(l)
		k.mu.Unlock()
		_ = l.conn.SetReadDeadline(time.Unix(1, 0))
		if <-l.rested && l.conn.SetReadDeadline(time.Time{}) == nil && quiet(l.records.Conn) {
			l.reused = true
			return l
		}
		l.close()
	}
}

// close closes what waits, and keeps nothing from then on. When it returns
// nothing is watched any more.
func (k *keeper) close() {
	k.mu.Lock()
	k.closed = true
	for _, list := range k.idle {
		for _, l := range list {
			l.close()
		}
	}
	k.mu.Unlock()
	k.watch.Wait()
}
