package scenarios

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/quote"
	"github.com/doppelbox/doppelbox/policy/registry"
	"github.com/doppelbox/doppelbox/scenarios/forwarding"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// The checks here are on words that fit together only in one verb.

// registration makes a registration of a register step.
func (s Step) registration() (policy.Registration, []*registry.ArgError) {
	args := make([]registry.Arg, len(s.Args))
	for i, a := range s.Args {
		args[i] = registry.Arg{Key: a.Key, Value: a.Value.Text}
	}
	return registry.ParseWords(s.Words[0].Text, args)
}

func checkRegister(s Step) *mistake {
	_, errs := s.registration()
	if len(errs) == 0 {
		return nil
	}
	e := errs[0]
	switch {
	case e.Index < 0:
		return &mistake{col: s.Words[0].Col, msg: e.Msg}
	case e.InKey:
		return &mistake{col: s.Args[e.Index].Col, msg: e.Msg}
	}
	return &mistake{col: s.Args[e.Index].Value.innerCol(e.Offset), msg: e.Msg}
}

func checkEndpoint(s Step) *mistake {
	if u := s.Words[0]; !strings.HasPrefix(strings.ToLower(u.Text), "https://") {
		return &mistake{col: u.Col, msg: "an endpoint's URL begins with https://: no other is ever requested"}
	}
	if !s.has("fail") {
		return nil
	}
	for _, a := range s.Args {
		if a.Key != "fail" {
			return &mistake{col: a.Col, msg: "an endpoint with fail= gives no answer that could have " + a.Key + "="}
		}
	}
	return nil
}

func checkPeer(s Step) *mistake {
	if !s.has("as", "ptr") {
		return &mistake{col: endCol(s.Src), msg: "peer needs as= or ptr="}
	}
	return nil
}

func checkDial(s Step) *mistake {
	_, _, err := policy.ParseDial(s.Words[0].Text, s.Words[1].Text)
	if err == nil {
		return nil
	}
	if unknown, ok := errors.AsType[policy.UnknownDialError](err); ok {
		return &mistake{col: s.Words[0].Col, msg: err.Error() + unknown.Suggestion()}
	}
	return &mistake{col: s.Words[1].Col, msg: err.Error()}
}

// phases are those at which a reply can be ordered.
func phases() []string { return words(policy.Phases()) }

func words[T ~string](list []T) []string {
	all := make([]string, len(list))
	for i, w := range list {
		all[i] = string(w)
	}
	return all
}

// order reads a fault step.
func (s Step) order() (provider.Order, *mistake) {
	o := provider.Order{Reply: policy.ReplyID(s.Words[0].Text)}
	c, ok := policy.FindReply(o.Reply)
	if !ok {
		var known []string
		for _, c := range policy.Catalogue() {
			known = append(known, string(c.ID))
		}
		return o, &mistake{
			col: s.Words[0].Col, msg: fmt.Sprintf("there is no reply %q", o.Reply) + policy.Suggest(string(o.Reply), append(known, "none")),
			hint: "doppelbox explain --replies prints the catalogue",
		}
	}
	at, _ := s.Get("at")
	o.Phase = cmp.Or(policy.Phase(at), c.Phases[0])
	if !c.Given(o.Phase) {
		return o, &mistake{col: s.Col, msg: fmt.Sprintf("the reply %s is given at %s, not at %s", o.Reply, strings.Join(words(c.Phases), ", "), o.Phase)}
	}
	// Form checks have found these to be good.
	if text, ok := s.Get("peer"); ok {
		o.Peer, _ = netip.ParseAddr(text)
	}
	o.Domain, _ = s.Get("domain")
	o.Account, _ = s.Get("account")
	if text, ok := s.Get("times"); ok {
		if o.Times, _ = strconv.Atoi(text); o.Times == 0 {
			return o, &mistake{col: s.Col, msg: "times= is how often, from 1"}
		}
	}
	if !o.Known() {
		return o, &mistake{col: s.Col, msg: fmt.Sprintf("at %s it is not known yet whose mail will come, and for whom: domain= needs at=mail or later, account= at=rcpt or later", o.Phase)}
	}
	return o, nil
}

func checkFault(s Step) *mistake {
	if s.Words[0].Text == "none" {
		return nil
	}
	_, mistake := s.order()
	return mistake
}

func checkSink(s Step) *mistake {
	if s.has("to") && s.has("code") {
		return &mistake{col: s.Col, msg: "a sink with to= answers with its own code"}
	}
	if s.has("to") && s.has("tls") {
		return &mistake{col: s.Col, msg: "a sink with to= has its own TLS"}
	}
	return nil
}

func checkPopserver(s Step) *mistake {
	if s.has("at") && s.has("fail") {
		return &mistake{col: s.Col, msg: "fail= is for a mailbox within the process, and at= names another one"}
	}
	return nil
}

// checkSigning checks that both halves of a signature are there.
func checkSigning(s Step) *mistake {
	if s.has("d") != s.has("s") {
		return &mistake{col: endCol(s.Src), msg: "a signature needs both d= and s="}
	}
	return nil
}

func checkForward(s Step) *mistake {
	style, _ := s.Get("style")
	language, ok := s.Get("language")
	if _, known := quote.Find(style, language); ok && !known {
		return &mistake{col: s.Col, msg: fmt.Sprintf("how %s words a forward in %q is not known", style, language)}
	}
	if as, _ := s.Get("as"); as == string(forwarding.Attachment) && s.has("markup") {
		return &mistake{col: s.Col, msg: "an attached original stays as it is: markup= is for as=inline"}
	}
	return checkSigning(s)
}
