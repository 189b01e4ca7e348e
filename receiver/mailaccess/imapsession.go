package mailaccess

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
)

// imapUIDValidity never changes: see [IMAPServer].
const imapUIDValidity = 1

const imapInbox = "INBOX"

// imapSession is what go-imap asks after the login.
type imapSession struct {
	conn    *imapConn
	changes *Changes // Nil if nothing can be changed.

	mu sync.Mutex // Held by what runs beside IDLE: go-imap does not always wait for it.
	// open is the mailbox as the client knows it; nil if none is selected.
	open *imapView
}

// imapView is a mailbox as a client knows it: without what came since the client
// was last told, and with what has gone since.
type imapView struct {
	readOnly bool
	messages []imapMessage
}

// imapMessage is a message as a client knows it.
type imapMessage struct {
	Message
	flags []string
	read  int // Octets that the client has, from the beginning.
}

func (m imapMessage) has(flag string) bool { return imapHasFlag(m.flags, flag) }

// last returns the highest UID.
func (v *imapView) last() uint32 {
	if len(v.messages) == 0 {
		return 0
	}
	return v.messages[len(v.messages)-1].UID
}

var (
	_ imapserver.Session          = (*imapSession)(nil)
	_ imapserver.SessionNamespace = (*imapSession)(nil)
	_ imapserver.SessionMove      = (*imapSession)(nil)
)

func newIMAPSession(c *imapConn) *imapSession {
	return &imapSession{conn: c, changes: c.server.opts.Changes}
}

// imapNo is the answer to a command that is not carried out.
func imapNo(code imap.ResponseCode, text string) error {
	return &imap.Error{Type: imap.StatusResponseTypeNo, Code: code, Text: text}
}

// imapBad is the answer to a command that makes no sense.
func imapBad(text string) error {
	return &imap.Error{Type: imap.StatusResponseTypeBad, Code: imap.ResponseCodeClientBug, Text: text}
}

// unavailable is the answer when the Backend has an error. The client gets no
// detail.
func (s *imapSession) unavailable(doing string, err error) error {
	s.conn.server.opts.Logger.Warn("serving IMAP", "session", s.conn.about.ID, "doing", doing, "error", err)
	return imapNo(imap.ResponseCodeUnavailable, "the mailbox cannot be read now")
}

// Close implements imapserver.Session. What runs beside IDLE has ended after it.
func (s *imapSession) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = nil
	return nil
}

// Login implements imapserver.Session. It is never called: connections come to
// go-imap after their login.
func (s *imapSession) Login(string, string) error {
	return imapBad("somebody has logged in already")
}

// list returns the messages that clients see, and the next UID.
func (s *imapSession) list() ([]imapMessage, imap.UID, error) {
	all, err := s.conn.mailbox.Messages(s.conn.context())
	if err != nil {
		return nil, 0, s.unavailable("listing messages", err)
	}
	next := imap.UID(1)
	if len(all) > 0 {
		next = imap.UID(all[len(all)-1].UID + 1)
	}
	if s.changes != nil {
		all = s.changes.Keep(s.conn.mailbox.Name(), all)
	}
	list := make([]imapMessage, len(all))
	for i, m := range all {
		list[i] = imapMessage{Message: m, flags: s.flags(m.ID)}
	}
	return list, next, nil
}

// flags returns the flags that a message has now.
func (s *imapSession) flags(id string) []string {
	if s.changes == nil {
		return nil
	}
	return s.changes.Flags(s.conn.mailbox.Name(), id)
}

// Select implements imapserver.Session.
func (s *imapSession) Select(mailbox string, o *imap.SelectOptions) (*imap.SelectData, error) {
	if mailbox != imapInbox {
		return nil, imapOnlyInbox(imap.ResponseCodeNonExistent)
	}
	list, next, err := s.list()
	if err != nil {
		return nil, err
	}
	s.open = &imapView{readOnly: o.ReadOnly || s.changes == nil, messages: list}
	data := &imap.SelectData{
		Flags:       imapFlagsIn(list),
		NumMessages: *imapNumber(len(list)),
		UIDNext:     next,
		UIDValidity: imapUIDValidity,
	}
	if !s.open.readOnly {
		data.PermanentFlags = append(slices.Clone(data.Flags), imap.FlagWildcard)
	}
	if i := slices.IndexFunc(list, func(m imapMessage) bool { return !m.has(string(imap.FlagSeen)) }); i >= 0 {
		data.FirstUnseenSeqNum = *imapNumber(i + 1)
	}
	return data, nil
}

// Unselect implements imapserver.Session.
func (s *imapSession) Unselect() error {
	s.open = nil
	return nil
}

// Status implements imapserver.Session.
func (s *imapSession) Status(mailbox string, _ *imap.StatusOptions) (*imap.StatusData, error) {
	if mailbox != imapInbox {
		return nil, imapOnlyInbox(imap.ResponseCodeNonExistent)
	}
	list, next, err := s.list()
	if err != nil {
		return nil, err
	}
	var unseen, deleted int
	var size, deletedSize int64
	for _, m := range list {
		size += m.Size
		if !m.has(string(imap.FlagSeen)) {
			unseen++
		}
		if m.has(string(imap.FlagDeleted)) {
			deleted++
			deletedSize += m.Size
		}
	}
	return &imap.StatusData{
		Mailbox:        imapInbox,
		NumMessages:    imapNumber(len(list)),
		NumRecent:      imapNumber(0),
		UIDNext:        next,
		UIDValidity:    imapUIDValidity,
		NumUnseen:      imapNumber(unseen),
		NumDeleted:     imapNumber(deleted),
		Size:           &size,
		DeletedStorage: &deletedSize,
	}, nil
}

// Poll implements imapserver.Session. Clients are told of changes where they ask
// for it, by NOOP and CHECK, and in IDLE: looking after each command would make
// reading a large mailbox slow.
func (s *imapSession) Poll(w *imapserver.UpdateWriter, _ bool) error {
	switch s.conn.command.name {
	case "NOOP", "CHECK", "IDLE":
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.announce(w)
	}
	return nil
}

// Idle implements imapserver.Session.
func (s *imapSession) Idle(w *imapserver.UpdateWriter, stop <-chan struct{}) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithCancel(s.conn.context())
	defer cancel()
	watcher, ok := s.conn.mailbox.(Watcher)
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		var changed <-chan struct{}
		if ok {
			changed = watcher.Changed(ctx)
		}
		if err := s.announce(w); err != nil {
			return err
		}
		select {
		case <-stop:
			return nil
		case <-changed:
		}
	}
}

// announce tells the client what has changed.
func (s *imapSession) announce(w *imapserver.UpdateWriter) error {
	if s.open == nil {
		return nil
	}
	list, _, err := s.list()
	if err != nil {
		return nil // It is in the log. The client will ask again.
	}
	now := make(map[uint32][]string, len(list))
	for _, m := range list {
		now[m.UID] = m.flags
	}
	last := s.open.last()
	known := s.open.messages
	for i := len(known) - 1; i >= 0; i-- {
		if _, ok := now[known[i].UID]; ok {
			continue
		}
		known = slices.Delete(known, i, i+1)
		if err := w.WriteExpunge(*imapNumber(i + 1)); err != nil {
			return err
		}
	}
	for i := range known {
		m := &known[i]
		if flags := now[m.UID]; !slices.Equal(flags, m.flags) {
			m.flags = flags
			if err := w.WriteMessageFlags(*imapNumber(i + 1), imap.UID(m.UID), imapFlags(flags)); err != nil {
				return err
			}
		}
	}
	s.open.messages = known
	fresh := slices.DeleteFunc(list, func(m imapMessage) bool { return m.UID <= last })
	if len(fresh) == 0 {
		return nil
	}
	s.open.messages = append(known, fresh...)
	return w.WriteNumMessages(*imapNumber(len(s.open.messages)))
}

// imapNumber is n as go-imap has it in answers.
func imapNumber(n int) *uint32 {
	u := uint32(n)
	return &u
}

// imapChosen is a message that a command is about.
type imapChosen struct {
	*imapMessage
	seq uint32
}

// choose returns the messages of a set.
func (s *imapSession) choose(set imap.NumSet) ([]imapChosen, error) {
	if imap.IsSearchRes(set) {
		return nil, imapBad("results of SEARCH are not kept")
	}
	_, byUID := set.(imap.UIDSet)
	all := *imapNumber(len(s.open.messages))
	last := all
	if byUID {
		last = s.open.last()
	}
	numbers := imapNumbers(set, last)
	if n := len(numbers); !byUID && n > 0 && numbers[n-1].Stop > all {
		return nil, imapBad("no message has that number")
	}
	var list []imapChosen
	for i := range s.open.messages {
		m := imapChosen{&s.open.messages[i], *imapNumber(i + 1)}
		if byUID && numbers.Contains(m.UID) || !byUID && numbers.Contains(m.seq) {
			list = append(list, m)
		}
	}
	return list, nil
}

// imapNumbers returns the numbers of a set, with last for "*". It is empty if
// there is no last.
func imapNumbers(set imap.NumSet, last uint32) imap.SeqSet {
	var numbers imap.SeqSet
	add := func(from, to uint32) {
		if from == 0 {
			from = last
		}
		if to == 0 {
			to = last
		}
		if from > 0 && to > 0 {
			numbers.AddRange(min(from, to), max(from, to))
		}
	}
	switch set := set.(type) {
	case imap.SeqSet:
		for _, r := range set {
			add(r.Start, r.Stop)
		}
	case imap.UIDSet:
		for _, r := range set {
			add(uint32(r.Start), uint32(r.Stop))
		}
	}
	return numbers
}

// imapGlob says whether a mailbox name matches a pattern of LIST. There is no
// hierarchy, so "%" is "*".
func imapGlob(pattern, name string) bool {
	pattern = strings.ReplaceAll(pattern, "%", "*")
	pieces := strings.Split(pattern, "*")
	if len(pieces) == 1 {
		return pattern == name
	}
	rest, ok := strings.CutPrefix(name, pieces[0])
	if !ok {
		return false
	}
	lastPiece := pieces[len(pieces)-1]
	for _, piece := range pieces[1 : len(pieces)-1] {
		i := strings.Index(rest, piece)
		if i < 0 {
			return false
		}
		rest = rest[i+len(piece):]
	}
	return strings.HasSuffix(rest, lastPiece)
}
