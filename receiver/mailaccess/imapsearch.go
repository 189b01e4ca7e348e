package mailaccess

import (
	"bytes"
	"io"
	"mime"
	"net/mail"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-message/charset"

	"github.com/doppelbox/doppelbox/policy/message"
)

// imapMaxSearchKeys bounds the keys of one SEARCH: each may have to look through
// every message.
const imapMaxSearchKeys = 100

// Search implements imapserver.Session.
func (s *imapSession) Search(kind imapserver.NumKind, c *imap.SearchCriteria, o *imap.SearchOptions) (*imap.SearchData, error) {
	if o.ReturnSave {
		return nil, imapBad("results of SEARCH are not kept")
	}
	if countKeys(c) > imapMaxSearchKeys {
		return nil, imapNo(imap.ResponseCodeLimit, "too many search keys")
	}
	if !s.resolve(c) {
		return nil, imapBad("results of SEARCH are not kept")
	}
	m := imapMatcher{session: s}
	var seqs imap.SeqSet
	var uids imap.UIDSet
	data := &imap.SearchData{}
	for i := range s.open.messages {
		found := &s.open.messages[i]
		seq := *imapNumber(i + 1)
		ok, err := m.message(found, seq, c)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		number := seq
		if kind == imapserver.NumKindUID {
			number = found.UID
			uids.AddNum(imap.UID(number))
		} else {
			seqs.AddNum(number)
		}
		if data.Count++; data.Count == 1 {
			data.Min = number
		}
		data.Max = number
	}
	data.All = seqs
	if kind == imapserver.NumKindUID {
		data.All = uids
	}
	return data, nil
}

// countKeys counts the keys of a search, those of others too.
func countKeys(c *imap.SearchCriteria) int {
	n := 1 + len(c.SeqNum) + len(c.UID) + len(c.Header) + len(c.Body) + len(c.Text) + len(c.Flag) + len(c.NotFlag)
	for i := range c.Not {
		n += countKeys(&c.Not[i])
	}
	for i := range c.Or {
		n += countKeys(&c.Or[i][0]) + countKeys(&c.Or[i][1])
	}
	return n
}

// resolve puts numbers for "*" into the sets of a search. It is false if they
// refer to another search.
func (s *imapSession) resolve(c *imap.SearchCriteria) bool {
	for i, set := range c.SeqNum {
		c.SeqNum[i] = imapNumbers(set, *imapNumber(len(s.open.messages)))
	}
	for i, set := range c.UID {
		if imap.IsSearchRes(set) {
			return false
		}
		c.UID[i] = nil
		for _, r := range imapNumbers(set, s.open.last()) {
			c.UID[i].AddRange(imap.UID(r.Start), imap.UID(r.Stop))
		}
	}
	for i := range c.Not {
		if !s.resolve(&c.Not[i]) {
			return false
		}
	}
	for i := range c.Or {
		if !s.resolve(&c.Or[i][0]) || !s.resolve(&c.Or[i][1]) {
			return false
		}
	}
	return true
}

// imapMatcher says which messages a search finds.
type imapMatcher struct {
	session *imapSession
	of      uint32    // The UID of the message that text is of; 0 if none was read.
	text    *imapText // What was read last.
}

// message says whether a message fits all of c.
func (m *imapMatcher) message(x *imapMessage, seq uint32, c *imap.SearchCriteria) (bool, error) {
	if !inSets(x, seq, c) || !matchesFlags(x, c) ||
		!matchesDay(x.ReceivedAt, c.Since, c.Before) ||
		c.Larger != 0 && x.Size <= c.Larger || c.Smaller != 0 && x.Size >= c.Smaller {
		return false, nil
	}
	for i := range c.Not {
		if ok, err := m.message(x, seq, &c.Not[i]); ok || err != nil {
			return false, err
		}
	}
	for i := range c.Or {
		ok, err := m.message(x, seq, &c.Or[i][0])
		if !ok && err == nil {
			ok, err = m.message(x, seq, &c.Or[i][1])
		}
		if !ok || err != nil {
			return false, err
		}
	}
	if len(c.Header)+len(c.Body)+len(c.Text) == 0 && c.SentSince.IsZero() && c.SentBefore.IsZero() {
		return true, nil
	}
	if m.of != x.UID {
		raw, err := m.session.conn.mailbox.Read(m.session.conn.context(), x.ID)
		if err != nil {
			return false, m.session.unavailable("reading message", err)
		}
		m.of, m.text = x.UID, newIMAPText(raw)
	}
	return m.text.matches(c), nil
}

// inSets says whether a message is in all sets of c.
func inSets(x *imapMessage, seq uint32, c *imap.SearchCriteria) bool {
	for _, set := range c.SeqNum {
		if !set.Contains(seq) {
			return false
		}
	}
	for _, set := range c.UID {
		if !set.Contains(imap.UID(x.UID)) {
			return false
		}
	}
	return true
}

func matchesFlags(x *imapMessage, c *imap.SearchCriteria) bool {
	for _, f := range c.Flag {
		if !x.has(string(f)) {
			return false
		}
	}
	for _, f := range c.NotFlag {
		if x.has(string(f)) {
			return false
		}
	}
	return true
}

// matchesDay says whether t is on a day from since to the one before before,
// where t is (RFC 3501 6.4.4: without regard to time and zone).
func matchesDay(t, since, before time.Time) bool {
	day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	return (since.IsZero() || !day.Before(since)) && (before.IsZero() || day.Before(before))
}

// imapText is the text of a message, in lower case.
type imapText struct {
	fields  []imapTextField
	date    string
	header  []byte
	body    []byte
	decoded [][]byte // The text parts.
}

type imapTextField struct{ name, value, decoded string }

func newIMAPText(raw []byte) *imapText {
	m := message.Parse(raw)
	date, _ := m.Get("Date")
	t := &imapText{
		date:   date.Unfolded(),
		header: bytes.ToLower(raw[:len(raw)-len(m.Body)]),
		body:   bytes.ToLower(m.Body),
	}
	words := mime.WordDecoder{CharsetReader: func(name string, r io.Reader) (io.Reader, error) {
		return charset.Reader(name, r)
	}}
	for _, f := range m.Fields {
		value := f.Unfolded()
		decoded, err := words.DecodeHeader(value)
		if err != nil {
			decoded = value
		}
		t.fields = append(t.fields, imapTextField{f.Name, strings.ToLower(value), strings.ToLower(decoded)})
	}
	parts, _ := m.Parts()
	for _, p := range parts {
		if strings.HasPrefix(p.Type, "text/") {
			t.decoded = append(t.decoded, bytes.ToLower(p.Text))
		}
	}
	return t
}

// matches says whether the text fits c.
func (t *imapText) matches(c *imap.SearchCriteria) bool {
	for _, h := range c.Header {
		if !t.inField(h.Key, strings.ToLower(h.Value)) {
			return false
		}
	}
	for _, s := range c.Body {
		if !t.inBody(strings.ToLower(s)) {
			return false
		}
	}
	for _, s := range c.Text {
		s = strings.ToLower(s)
		if !bytes.Contains(t.header, []byte(s)) && !t.inField("", s) && !t.inBody(s) {
			return false
		}
	}
	if c.SentSince.IsZero() && c.SentBefore.IsZero() {
		return true
	}
	sent, err := mail.ParseDate(t.date)
	return err == nil && matchesDay(sent, c.SentSince, c.SentBefore)
}

// inField says whether s is in a field of a name, or, if that is empty, in any.
func (t *imapText) inField(name, s string) bool {
	for _, f := range t.fields {
		if (name == "" || strings.EqualFold(f.name, name)) && (strings.Contains(f.value, s) || strings.Contains(f.decoded, s)) {
			return true
		}
	}
	return false
}

func (t *imapText) inBody(s string) bool {
	for _, text := range append(t.decoded, t.body) {
		if bytes.Contains(text, []byte(s)) {
			return true
		}
	}
	return false
}
