package probe

import (
	"strings"
	"testing"

	"github.com/doppelbox/doppelbox/dispatcher"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	var (
		must   = Probe{Expect: MustRefuse, Phase: Hostile, Fix: "signature"}
		should = Probe{Expect: ShouldRefuse, Phase: Hostile, Fix: "form"}
		large  = Probe{Expect: ShouldRefuse, Phase: Hostile, Fix: "size", Change: Change{Pad: 1}}
		replay = Probe{Expect: MustRefuse, Phase: After, Fix: "once"}
		once   = Probe{Expect: AtMostOnce, Phase: After, Fix: "once"}
		safe   = Probe{Expect: MustNotAct, Phase: Hostile, Fix: "method"}
		good   = Probe{Expect: MustAccept, Phase: Good}
		either = Probe{Expect: Either, Phase: After}
	)
	status := func(n int) dispatcher.Attempt { return dispatcher.Attempt{Status: n, Addr: "127.0.0.1:443"} }
	later := dispatcher.Attempt{Status: 429, Header: []dispatcher.Field{{Name: "retry-after", Value: "30"}}}
	silent := dispatcher.Attempt{Addr: "127.0.0.1:443", Error: "reading response: EOF"}
	for _, c := range []struct {
		probe   Probe
		o       observation
		mark    Mark
		outcome Outcome
		detail  string
	}{
		{must, observation{attempt: status(401)}, Held, Refused, "answered 401"},
		{must, observation{attempt: status(403)}, Held, Refused, "401 is documented"},
		{should, observation{attempt: status(403)}, Held, Refused, "answered 403"},
		{must, observation{attempt: status(200)}, Failed, Accepted, "answered 200"},
		{must, observation{attempt: status(204)}, Failed, Accepted, "only 200 counts as done"},
		{must, observation{attempt: status(200), effect: acted}, Failed, Accepted, "answered 200"},
		{must, observation{attempt: status(200), effect: unmoved}, Noted, Answered, "the user is told that it was"},
		{must, observation{attempt: status(401), effect: acted}, Failed, Consumed, "and yet the action was carried out"},
		{must, observation{attempt: status(302)}, Noted, Redirected, "may have acted"},
		{must, observation{attempt: status(302), effect: unmoved}, Held, Redirected, "nothing was carried out"},
		{must, observation{attempt: status(500)}, Noted, ServerError, "it failed at it"},
		{must, observation{attempt: status(501)}, Held, Refused, "answered 501"},
		{must, observation{attempt: status(408)}, Undetermined, Deferred, "no judgement"},
		{must, observation{attempt: status(429)}, Undetermined, Deferred, "no judgement"},
		{must, observation{attempt: silent}, Undetermined, Unanswered, "EOF"},
		{must, observation{attempt: silent, effect: unmoved}, Noted, Unanswered, "taken for a refusal"},
		{must, observation{attempt: silent, effect: unmoved, spent: "x was accepted"}, NotProven, Unanswered, "but x was accepted"},
		{must, observation{attempt: silent, effect: acted}, Failed, Consumed, "no answer (reading response: EOF), and yet"},
		{large, observation{attempt: silent}, Held, Unanswered, "as may be done to a request of this size"},
		{must, observation{attempt: status(401), fetched: 1}, Failed, Refused, "the service fetched a key"},
		{must, observation{attempt: status(401), spent: "x was accepted"}, NotProven, Refused, "but x was accepted"},
		{must, observation{attempt: status(200), spent: "x was accepted"}, NotProven, Accepted, "but x was accepted, and this may be the answer to that"},
		{must, observation{attempt: status(200), effect: acted, spent: "x was accepted"}, Failed, Accepted, "answered 200"},
		{should, observation{attempt: status(200)}, Warned, Accepted, "answered 200"},
		{should, observation{attempt: status(400), effect: acted}, Warned, Consumed, "and yet the action was carried out"},
		{replay, observation{attempt: status(200)}, Failed, Accepted, "answered 200"},
		{replay, observation{attempt: status(200), effect: unmoved}, Noted, Answered, "nothing was carried out again"},
		{once, observation{attempt: status(200)}, Noted, Accepted, "sound if it was not done again"},
		{once, observation{attempt: status(200), effect: unmoved}, Held, Answered, "not carried out again"},
		{once, observation{attempt: status(200), effect: acted}, Failed, Accepted, "carried out again"},
		{once, observation{attempt: status(409)}, Held, Refused, "not carried out again"},
		{once, observation{attempt: status(502)}, Noted, ServerError, "it failed at it"},
		{once, observation{attempt: silent}, Undetermined, Unanswered, "no answer"},
		{safe, observation{attempt: status(405)}, Held, Refused, "answered 405"},
		{safe, observation{attempt: status(204)}, Noted, Answered, "sound if nothing was carried out"},
		{safe, observation{attempt: status(200), effect: unmoved}, Held, Answered, "nothing was carried out"},
		{safe, observation{attempt: status(200), effect: acted}, Failed, Accepted, "and the action was carried out"},
		{safe, observation{attempt: status(405), effect: acted}, Failed, Consumed, "and the action was carried out"},
		{safe, observation{attempt: status(302)}, Noted, Redirected, "sound if nothing was carried out"},
		{safe, observation{attempt: status(500), effect: unmoved}, Noted, ServerError, "it failed at it"},
		{safe, observation{attempt: silent}, Undetermined, Unanswered, "no answer"},
		{safe, observation{attempt: status(405), spent: "x was accepted"}, NotProven, Refused, "but x was accepted"},
		{good, observation{attempt: status(200)}, Held, Accepted, "answered 200"},
		{good, observation{attempt: status(202)}, Failed, Accepted, "the provider takes 200 alone for done"},
		{good, observation{attempt: status(204), effect: unmoved}, Failed, Answered, "the provider takes 200 alone for done"},
		{good, observation{attempt: status(401)}, Failed, Refused, "it must be accepted"},
		{good, observation{attempt: silent}, Failed, Unanswered, "it must be accepted"},
		{good, observation{attempt: status(200), effect: unmoved}, Failed, Answered, "nothing was carried out"},
		{good, observation{attempt: status(500), effect: acted}, Failed, Consumed, "answered 500, though it was carried out"},
		{good, observation{attempt: status(429)}, Undetermined, Deferred, "a rate limit, and no judgement"},
		{good, observation{attempt: status(503)}, Undetermined, ServerError, "the service cannot serve now"},
		{good, observation{attempt: later}, Undetermined, Deferred, "answered 429, Retry-After 30 s: a rate limit"},
		{either, observation{attempt: status(200)}, Held, Accepted, "which is sound"},
		{either, observation{attempt: status(400)}, Held, Refused, "which is sound"},
		{either, observation{attempt: status(500)}, Noted, ServerError, "it failed at it"},
		{either, observation{attempt: status(400), effect: acted}, Noted, Consumed, "and yet the action was carried out"},
		{either, observation{attempt: silent}, Undetermined, Unanswered, "no answer"},
	} {
		mark, out, detail := judge(c.probe, c.o)
		if mark != c.mark || out != c.outcome || !strings.Contains(detail, c.detail) {
			t.Errorf("%s, %d, effect %d: %s, %s, %s; want %s, %s, %s",
				c.probe.Expect, c.o.attempt.Status, c.o.effect, mark, out, detail, c.mark, c.outcome, c.detail)
		}
	}
}

func TestJudgeTwo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		accepted      int
		open          int
		before, after string
		seen          bool
		mark          Mark
	}{
		{0, 0, "", "", false, Failed},
		{1, 0, "", "", false, Held},
		{2, 0, "", "", false, Failed},
		{1, 0, "3", "4", true, Held},
		{1, 0, "3", "5", true, Failed}, // One was refused, and acted all the same.
		{2, 0, "3", "4", true, Noted},
		{2, 0, "3\n", "4\n", true, Noted}, // As a command prints them.
		{2, 0, "3", "5", true, Failed},
		{2, 0, "5", "4", true, Noted}, // Fewer are open.
		{1, 0, "5", "3", true, Failed},
		{2, 0, "-1", "0", true, Noted},
		{2, 0, "open 5, done: 9.", "open 4, done: 10.", true, Noted},
		{1, 0, "open 5, done: 9.", "open 3, done: 11.", true, Failed},
		{2, 0, "open", "done", true, Undetermined}, // Once or twice: who knows.
		{1, 0, "open", "done", true, Undetermined},
		{2, 0, "d41d8cd98f1", "c4ca4238a3", true, Undetermined}, // A hash is no number.
		{1, 0, "40", "95", true, Undetermined},                  // This counts something else.
		{0, 0, "3", "4", true, Failed},
		{0, 2, "", "", false, Undetermined},
		{1, 1, "3", "4", true, Undetermined},
		{1, 1, "3", "5", true, Failed},
	} {
		if mark, _, detail := judgeTwo(c.accepted, c.open, c.before, c.after, c.seen); mark != c.mark {
			t.Errorf("%d accepted, from %q to %q: %s (%s), want %s", c.accepted, c.before, c.after, mark, detail, c.mark)
		}
	}
}

func TestNotedOnce(t *testing.T) {
	t.Parallel()
	r := &runner{}
	r.note("a")
	r.note("b")
	r.note("a")
	if n := r.report.Notes; len(n) != 2 {
		t.Errorf("notes are %q", n)
	}
}
