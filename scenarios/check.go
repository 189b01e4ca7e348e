package scenarios

import (
	"errors"
	"fmt"
	"strings"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/quote"
	"github.com/doppelbox/doppelbox/policy/registry"
	"github.com/doppelbox/doppelbox/scenarios/forwarding"
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
	if _, ok := errors.AsType[policy.UnknownDialError](err); ok {
		var known []string
		for _, d := range policy.AllDials() {
			known = append(known, string(d.ID))
		}
		return &mistake{col: s.Words[0].Col, msg: err.Error() + policy.Suggest(s.Words[0].Text, known)}
	}
	return &mistake{col: s.Words[1].Col, msg: err.Error()}
}

func checkSink(s Step) *mistake {
	if s.has("to") && s.has("code") {
		return &mistake{col: s.Col, msg: "a sink with to= answers with its own code"}
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
