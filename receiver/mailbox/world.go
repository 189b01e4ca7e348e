package mailbox

import "slices"

// world is what a [Memory] holds of one world. The lock is the Memory's.
type world struct {
	seq      int64 // Of the newest message.
	bytes    int64
	evicted  int64
	all      series
	accounts map[string]*series
	messages map[string]*entry
	clicks   map[string]*clickEntry
	urls     map[string]int // How many messages have a handler of that URL.
	gates    map[string]*gate
	fetched  map[fetchKey]bool
	outgoing rows[Outgoing]
	accesses rows[Access]
}

// fetchKey names a message that was fetched from another mailbox.
type fetchKey struct{ account, source, uid string }

// gate is where callers wait for a message of one account, or of any.
type gate struct {
	opened  chan struct{} // Closed when there is a message.
	waiting int
}

func newWorld() *world {
	return &world{
		accounts: map[string]*series{}, messages: map[string]*entry{}, clicks: map[string]*clickEntry{},
		urls: map[string]int{}, gates: map[string]*gate{}, fetched: map[fetchKey]bool{},
	}
}

func newEntry(msg Message) *entry {
	e := &entry{msg: msg, size: int64(len(msg.Raw)+len(msg.Evidence.Markup.Actions)*actionAllowance) + messageAllowance}
	if msg.Refused {
		return e
	}
	for _, a := range msg.Evidence.Markup.Actions {
		for _, h := range a.Handlers {
			if !slices.Contains(e.urls, h.URL) {
				e.urls = append(e.urls, h.URL)
			}
		}
	}
	return e
}

// add stores a message and gives it its Seq.
func (w *world) add(e *entry) {
	w.seq++
	e.msg.Seq = w.seq
	w.bytes += e.size
	w.messages[e.msg.ID] = e
	w.all.push(e)
	account := w.accounts[e.msg.Account]
	if account == nil {
		account = &series{}
		w.accounts[e.msg.Account] = account
	}
	account.push(e)
	for _, u := range e.urls {
		w.urls[u]++
	}
	if f := e.msg.Evidence.Arrival.Fetch; f != nil {
		w.fetched[fetchKey{e.msg.Account, f.Source, f.UID}] = true
	}
}

// grow adds to what a message is counted for.
func (w *world) grow(e *entry, size int64) {
	e.size += size
	w.bytes += size
}

// evict removes the oldest messages until the world is within its limits, but
// not keep: that one has just been added to.
func (w *world) evict(limits Limits, keep *entry) {
	for len(w.messages) > limits.Messages || w.bytes > limits.Bytes {
		e := w.all.oldest(keep)
		if e == nil {
			return
		}
		w.remove(e)
		w.evicted++
	}
}

func (w *world) remove(e *entry) {
	e.gone = true
	w.bytes -= e.size
	delete(w.messages, e.msg.ID)
	for _, c := range e.clicks {
		delete(w.clicks, c.click.ID)
	}
	for _, u := range e.urls {
		if w.urls[u]--; w.urls[u] == 0 {
			delete(w.urls, u)
		}
	}
	w.all.trim()
	account := w.accounts[e.msg.Account]
	account.trim()
	if account.empty() {
		delete(w.accounts, e.msg.Account)
	}
}

// find returns the messages that a query selects.
func (w *world) find(q Query) []Message {
	from := &w.all
	if q.Account != "" {
		if from = w.accounts[q.Account]; from == nil {
			return nil
		}
	}
	found := from.after(q.AfterSeq)
	if len(found) == 0 {
		return nil
	}
	size := len(found)
	if q.Limit > 0 {
		size = min(size, q.Limit)
	}
	list := make([]Message, 0, size) // Messages are large, and there may be thousands.
	for _, e := range found {
		if q.Limit > 0 && len(list) == q.Limit {
			break
		}
		if !e.gone && (q.Refused || !e.msg.Refused) {
			list = append(list, e.msg)
		}
	}
	return list
}

// enter makes the caller one of those who wait for a message of an account.
// The caller must leave afterwards.
func (w *world) enter(account string) *gate {
	g := w.gates[account]
	if g == nil {
		g = &gate{opened: make(chan struct{})}
		w.gates[account] = g
	}
	g.waiting++
	return g
}

// leave undoes enter, so that nothing is left of those who gave up.
func (w *world) leave(account string, g *gate) {
	if g.waiting--; g.waiting == 0 && w.gates[account] == g {
		delete(w.gates, account)
	}
}

// announce lets those go on who wait for a message of an account.
func (w *world) announce(account string) {
	for _, name := range []string{account, ""} {
		if g := w.gates[name]; g != nil {
			close(g.opened)
			delete(w.gates, name)
		}
	}
}
