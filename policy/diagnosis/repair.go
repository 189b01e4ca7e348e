package diagnosis

import (
	"slices"

	"github.com/doppelbox/doppelbox/policy"
)

// Rank says what a fault costs; it orders the repairs.
type Rank string

// The ranks, worst first.
const (
	RankRefused     Rank = "refused"     // The mail is refused for good.
	RankDeferred    Rank = "deferred"    // The mail is put off.
	RankSpam        Rank = "spam"        // The mail is filed as spam.
	RankWithheld    Rank = "withheld"    // An action is withheld.
	RankUnsubscribe Rank = "unsubscribe" // One-click unsubscription is withheld.
	RankBulk        Rank = "bulk"        // Only a bulk sender would meet it.
	RankAdvice      Rank = "advice"      // Nothing comes of it here.
)

var ranks = []Rank{RankRefused, RankDeferred, RankSpam, RankWithheld, RankUnsubscribe, RankBulk, RankAdvice}

// Cause names the finding behind a repair. Of a method of authentication that
// no check complains of, Check is empty and Reason is the method's own word.
type Cause struct {
	Check  policy.CheckID `json:"check,omitempty"`
	Reason policy.Reason  `json:"reason"`
}

// Repair is one thing to mend.
type Repair struct {
	Rank    Rank     `json:"rank"`
	Effects []string `json:"effects,omitempty"` // What comes of it.
	Wrong   string   `json:"wrong"`             // What is wrong.
	Where   string   `json:"where,omitempty"`   // A domain, the name of a record, a header field, a place in the mail.
	About   []string `json:"about,omitempty"`   // The actions whose markup it is in, with their places.
	Steps   []Step   `json:"steps"`             // What to do about it.
	Causes  []Cause  `json:"causes"`

	inAction  bool
	spf, dkim bool   // The methods that its steps go through.
	extra     []Step // Those of its steps that other repairs of these methods lack.
}

// Step is one step of a repair.
type Step struct {
	Do string `json:"do"`
	// Write are exact lines to publish or to add: records as zone text, header
	// fields, lines of a world. What is in angle brackets there, but an address,
	// is to be filled in.
	Write []string `json:"write,omitempty"`
}

func step(do string, write ...string) []Step { return []Step{{do, write}} }

// remedy is the part of a repair that follows from a cause.
type remedy struct {
	wrong string // What is wrong, where the finding's own sentence says too much.
	where string
	do    []Step
	// make makes where and do where they depend on the case.
	make func(c *Case, f policy.Finding) remedy
	// action says that it is in the markup of an action.
	action bool
	// spf and dkim say that the steps go through SPF, or every signature.
	spf, dkim bool
	// extra are steps of its own, after those that go through the methods.
	extra []Step
}

// maxEffects bounds what is listed of one repair.
const maxEffects = 10

// RepairOf makes the repair of one failed finding. A check that has no remedy
// of its own gets one from its sentence, so that none is ever left out.
func RepairOf(c Case, f policy.Finding) Repair {
	cause := Cause{f.Check, f.Reason}
	r := Repair{Rank: RankAdvice, Wrong: clip(f.Detail), Causes: []Cause{cause}}
	if r.Wrong == "" {
		r.Wrong = string(f.Check) + " fails: " + string(f.Reason)
	}
	m, ok := remedies[cause]
	if m.wrong != "" {
		r.Wrong = m.wrong
	}
	r.spf, r.dkim = m.spf, m.dkim
	if m.make != nil {
		m = m.make(&c, f)
	}
	if !ok || len(m.do) == 0 {
		m.do = step("Mend what is said above.")
		for _, check := range policy.Checks() {
			if check.ID == f.Check {
				m.do = step("See to it that this holds: " + check.Doc + " (" + check.Source + ")")
			}
		}
	}
	if m.wrong != "" { // What make says of the case goes before the table.
		r.Wrong = m.wrong
	}
	r.Where, r.Steps, r.inAction, r.extra = clip(m.where), slices.Concat(m.do, m.extra), m.action, m.extra
	return r
}

// repairs turns everything that fails into repairs, worst first.
func repairs(c Case, b Bulk) []Repair {
	l := list{c: c}
	v := c.Verdict
	for _, f := range v.Findings {
		if f.Result == policy.Fail {
			rank, effect := l.deliveryRank(f)
			l.add(f, rank, effect)
		}
	}
	for _, a := range v.Actions {
		l.addAnswer(a.Findings, RankWithheld, actionText(a)+" is withheld", actionPlace(c.Evidence, a))
	}
	if v.Unsubscribe.Answer != policy.Absent {
		l.addAnswer(v.Unsubscribe.Findings, RankUnsubscribe, "one-click unsubscription is withheld", "")
	}
	if !b.Is {
		l.addBulk(b.other)
	}
	l.addMethods()
	slices.SortStableFunc(l.list, func(a, b Repair) int { return slices.Index(ranks, a.Rank) - slices.Index(ranks, b.Rank) })
	return l.list
}

// list collects repairs.
type list struct {
	c    Case
	list []Repair
}

// add adds the repair of a finding, or joins it to one that mends the same.
func (l *list) add(f policy.Finding, rank Rank, effect string) { l.addAbout(f, rank, effect, "") }

func (l *list) addAbout(f policy.Finding, rank Rank, effect, about string) {
	r := RepairOf(l.c, f)
	if r.inAction && about != "" {
		r.About = []string{about}
	}
	l.join(r, rank, effect)
}

func (l *list) join(r Repair, rank Rank, effect string) {
	i := slices.IndexFunc(l.list, func(o Repair) bool {
		return o.covers(r) || o.Where == r.Where && slices.EqualFunc(o.Steps, r.Steps, Step.equal)
	})
	if i < 0 {
		r.Rank = rank
		if effect != "" {
			r.Effects = []string{effect}
		}
		l.list = append(l.list, r)
		return
	}
	o := &l.list[i]
	if rank == RankBulk && slices.Index(ranks, o.Rank) < slices.Index(ranks, RankBulk) {
		return // What everybody meets needs no mention of bulk senders.
	}
	if slices.Index(ranks, rank) < slices.Index(ranks, o.Rank) {
		o.Rank, o.Wrong = rank, r.Wrong
	}
	o.take(r)
	o.Effects = withEffect(o.Effects, effect)
	for _, about := range r.About {
		o.About = listed(o.About, about)
	}
	for _, cause := range r.Causes {
		if !slices.Contains(o.Causes, cause) {
			o.Causes = append(o.Causes, cause)
		}
	}
}

// covers says whether the steps of a repair go through the methods of another
// one, which need not be said twice: who signs for From mends all that a
// signature mends, and SPF alone needs its own steps.
func (r Repair) covers(o Repair) bool { return r.dkim && o.dkim || r.spf && o.spf && !o.dkim }

// take adds the steps of a repair that is covered: those of its own and, if it
// goes through more methods, those.
func (r *Repair) take(o Repair) {
	if o.spf && !r.spf {
		r.spf, r.Where, r.Steps = true, o.Where, slices.Concat(o.Steps, r.extra)
	}
	for _, s := range o.extra {
		if !slices.ContainsFunc(r.Steps, s.equal) {
			// The first step signs; what the signature is to have follows it.
			r.Steps, r.extra = slices.Insert(slices.Clone(r.Steps), min(1, len(r.Steps)), s), append(r.extra, s)
		}
	}
}

// deliveryEffects are what can become of a mail, worst first, of everybody's and
// of a bulk sender's.
var deliveryEffects = [][]string{
	{"the mail is refused", "the mail is put off", "the mail is filed as spam"},
	{"a bulk sender's mail would be refused for good", "a bulk sender's mail would be put off, for the sender to come again", "a bulk sender's mail would be accepted, and filed as spam"},
}

// withEffect adds an effect. A mail is delivered in one way only, so that of
// several the worst is kept.
func withEffect(list []string, effect string) []string {
	for _, order := range deliveryEffects {
		n := slices.Index(order, effect)
		if n < 0 {
			continue
		}
		for i, e := range list {
			if m := slices.Index(order, e); m >= 0 {
				list[i] = order[min(m, n)]
				return list
			}
		}
	}
	return listed(list, effect)
}

func (s Step) equal(o Step) bool { return s.Do == o.Do && slices.Equal(s.Write, o.Write) }

// listed adds to a bounded list what is not in it.
func listed(list []string, item string) []string {
	if item == "" || slices.Contains(list, item) || len(list) > maxEffects {
		return list
	}
	if len(list) == maxEffects {
		item = "and more"
	}
	return append(list, item)
}

// deliveryRank is what a failure of a check on the message costs. Of mail that
// was fetched nobody is told anything: it is filed elsewhere.
func (l *list) deliveryRank(f policy.Finding) (Rank, string) {
	delivery, folder := f.Delivery, f.Folder
	if l.c.Evidence.Arrival.Channel == policy.ChannelPOP && delivery != "" {
		delivery, folder = policy.Accept, l.c.Verdict.Folder
	}
	switch {
	case f.Advice:
		return RankAdvice, ""
	case delivery == policy.Reject:
		return RankRefused, "the mail is refused"
	case delivery == policy.Defer:
		return RankDeferred, "the mail is put off"
	case folder == policy.Spam:
		return RankSpam, "the mail is filed as spam"
	}
	return RankAdvice, ""
}

// addAnswer adds the failures behind one answer. That the mail is not
// delivered is no fault of its own: its repair is that of the delivery.
func (l *list) addAnswer(findings []policy.Finding, rank Rank, effect, about string) {
	for _, f := range findings {
		switch {
		case f.Result != policy.Fail:
		case f.Advice:
			l.addAbout(f, RankAdvice, "", about)
		case isConsequence(f.Check):
			if i := l.find(l.c.Verdict.Decider); i >= 0 {
				l.list[i].Effects = listed(l.list[i].Effects, effect)
			} else {
				l.add(f, rank, effect)
			}
		default:
			l.addAbout(f, rank, effect, about)
		}
	}
}

// isConsequence says whether a check only repeats what became of the mail.
func isConsequence(id policy.CheckID) bool {
	return id == "delivered" || id == "unsubscribe-delivered"
}

// find returns the repair of a check.
func (l *list) find(id policy.CheckID) int {
	return slices.IndexFunc(l.list, func(r Repair) bool {
		return slices.ContainsFunc(r.Causes, func(c Cause) bool { return c.Check == id })
	})
}

// addBulk adds what a bulk sender would meet and this one does not.
func (l *list) addBulk(other policy.Verdict) {
	now := l.c.Verdict
	for _, f := range other.Findings {
		if isNew(now.Findings, f) {
			effect := "a bulk sender's mail would be " + deliveryText(f.Delivery, f.Folder)
			if f.Delivery == "" {
				effect = "a bulk sender would fail this check"
			}
			l.add(f, RankBulk, effect)
		}
	}
	for i := range min(len(now.Actions), len(other.Actions)) {
		for _, f := range other.Actions[i].Findings {
			if isNew(now.Actions[i].Findings, f) && !isConsequence(f.Check) {
				l.add(f, RankBulk, actionText(now.Actions[i])+" of a bulk sender would be withheld")
			}
		}
	}
	for _, f := range other.Unsubscribe.Findings {
		if isNew(now.Unsubscribe.Findings, f) && !isConsequence(f.Check) {
			l.add(f, RankBulk, "a bulk sender's one-click unsubscription would be withheld")
		}
	}
}

// isNew says whether a failure decides something, and did not before.
func isNew(now []policy.Finding, f policy.Finding) bool {
	return f.Result == policy.Fail && !f.Advice && !slices.ContainsFunc(now, func(g policy.Finding) bool {
		return g.Check == f.Check && g.Result == policy.Fail && !g.Advice
	})
}

// covers says whether some repair goes already through a method.
func (l *list) covers(method Repair) bool {
	return slices.ContainsFunc(l.list, func(r Repair) bool { return r.covers(method) })
}

// maxMethods bounds the signatures that get advice of their own.
const maxMethods = 5

// addMethods adds what is wrong with a method of authentication that no check
// complains of, as another one makes up for it. It will not always.
func (l *list) addMethods() {
	a := l.c.Evidence.Auth
	if !l.covers(Repair{dkim: true}) {
		l.addSignatures(a.DKIM)
	}
	if s := a.SPF; l.c.Evidence.Arrival.Peer.IsValid() && s.Result != policy.AuthPass && s.Result != policy.AuthTempError && !passedOn(&l.c) &&
		!l.covers(Repair{spf: true}) {
		m := permitting(&l.c, policy.Finding{})
		wrong := "SPF does not pass: " + diagnoseSPF(&l.c).Summary
		l.join(Repair{Wrong: wrong, Where: m.where, Steps: m.do, Causes: []Cause{{Reason: policy.Reason("spf-" + s.Result)}}}, RankAdvice, "")
	}
	if d := a.DMARC; d.Problem != "" && d.ProblemDomain != "" {
		m := mendingRecord(d)
		l.join(Repair{Wrong: m.wrong, Where: m.where, Steps: m.do, Causes: []Cause{{Reason: "dmarc-record"}}}, RankAdvice, "")
	}
}

// addSignatures adds advice on signatures that do not count.
func (l *list) addSignatures(signatures []policy.DKIM) {
	n := 0
	for _, s := range signatures {
		if s.Result == policy.AuthPass || s.Reason == "too-many-signatures" || n == maxMethods {
			continue
		}
		n++
		wrong := "the DKIM signature " + clip(s.Selector) + " of " + clip(s.Domain) + " does not count"
		if s.Problem != "" {
			wrong += ": " + clip(s.Problem)
		}
		where, mend := clip(keyName(s)), mendSignature(s)
		if brokenOnTheWay(&l.c, s) {
			where, mend = forwarder(&l.c), intact(s.Change)
		}
		l.join(Repair{Wrong: wrong, Where: where, Steps: []Step{mend}, Causes: []Cause{{Reason: s.Reason}}}, RankAdvice, "")
	}
}

// factOf returns the value of a fact of a finding; empty if it has none of that
// name.
func factOf(f policy.Finding, name string) string {
	for _, fact := range f.Facts {
		if fact.Name == name {
			return clip(fact.Value)
		}
	}
	return ""
}
