package policy_test

import (
	"testing"
	"time"

	"github.com/doppelbox/doppelbox/policy"
)

func TestDecideClick(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*policy.ClickEvidence, policy.Registry)
		answer policy.ClickAnswer
		check  policy.CheckID
		reason policy.Reason
	}{
		{"first", func(*policy.ClickEvidence, policy.Registry) {}, policy.ClickFire, "", "clicked"},
		{"no such action", func(c *policy.ClickEvidence, _ policy.Registry) { c.Action = 7 }, policy.ClickRefuse, "offered-now", "no-such-action"},
		{"withheld", func(c *policy.ClickEvidence, _ policy.Registry) {
			c.Message.Auth.SPF.OrgDomain, c.Message.Auth.DKIM = "x.example", nil
		}, policy.ClickRefuse, "offered-now", "unaligned"},
		{"registration ended since", func(_ *policy.ClickEvidence, reg policy.Registry) { reg[0].Until = noon.Add(time.Minute) }, policy.ClickRefuse, "offered-now", "registration-expired"},
		{"period ended since", func(c *policy.ClickEvidence, _ policy.Registry) {
			c.Message.Markup.Actions[0].End = noon.Add(time.Minute)
		}, policy.ClickRefuse, "offered-now", "action-expired"},
		{"period began since", func(c *policy.ClickEvidence, _ policy.Registry) {
			c.Message.Markup.Actions[0].Start = noon.Add(time.Minute)
		}, policy.ClickFire, "", "clicked"},
		{"second", func(c *policy.ClickEvidence, _ policy.Registry) {
			c.Earlier = []policy.EarlierClick{policy.EarlierSucceeded}
		}, policy.ClickRefuse, "once-only", "already-done"},
		{"pending", func(c *policy.ClickEvidence, _ policy.Registry) {
			c.Earlier = []policy.EarlierClick{policy.EarlierPending}
		}, policy.ClickRefuse, "not-pending", "request-pending"},
		{"after a failure", func(c *policy.ClickEvidence, _ policy.Registry) {
			c.Earlier = []policy.EarlierClick{policy.EarlierFailed}
		}, policy.ClickFire, "", "clicked"},
		{"after a failure that uses up", func(c *policy.ClickEvidence, _ policy.Registry) {
			c.Earlier = []policy.EarlierClick{policy.EarlierFailed}
			c.Message.Dials = policy.Dials{policy.DialFailedClick: "uses-up"}
		}, policy.ClickRefuse, "once-only", "already-failed"},
		{"after a withheld one", func(c *policy.ClickEvidence, _ policy.Registry) {
			c.Earlier = []policy.EarlierClick{policy.EarlierWithheld}
		}, policy.ClickFire, "", "clicked"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, reg := good()
			c := policy.ClickEvidence{Message: e, At: noon.Add(time.Hour)}
			tt.change(&c, reg)
			v := policy.DecideClick(c, reg)
			if v.Answer != tt.answer || v.Decider != tt.check || v.Reason != tt.reason {
				t.Errorf("got %s by %q (%s), want %s by %q (%s)\n%s", v.Answer, v.Decider, v.Reason, tt.answer, tt.check, tt.reason, v.Text())
			}
			if (v.Request != nil) != (v.Answer == policy.ClickFire) {
				t.Errorf("request = %+v", v.Request)
			}
		})
	}
}

func TestDecideClickOpensLinks(t *testing.T) {
	t.Parallel()
	e, reg := good()
	e.Markup.Actions[0] = policy.Action{Type: "ViewAction", Kind: policy.KindGoTo, Targets: []string{"android-app://x/y", "https://shop.example/view"}}
	reg[0].Actions = nil
	c := policy.ClickEvidence{Message: e, At: noon, Earlier: []policy.EarlierClick{policy.EarlierSucceeded, policy.EarlierPending}}
	if v := policy.DecideClick(c, reg); v.Answer != policy.ClickOpen || v.Target != "https://shop.example/view" || v.Request != nil {
		t.Errorf("got %s\n%s", v.Answer, v.Text())
	}
}

func TestRequestPlan(t *testing.T) {
	t.Parallel()
	const u = "https://shop.example/approve?t=a8f3c2d91b0e47d6"
	for _, tt := range []struct {
		name   string
		change func(*policy.Evidence, policy.Registry)
		want   policy.RequestPlan
	}{
		{"confirm", func(*policy.Evidence, policy.Registry) {},
			policy.RequestPlan{Method: "POST", URL: u, Body: "confirmed=Approved", Form: true, UserAgent: true, Bearer: true, Audience: "https://shop.example"}},
		{"no bearer", func(_ *policy.Evidence, r policy.Registry) { r[0].Bearer = false },
			policy.RequestPlan{Method: "POST", URL: u, Body: "confirmed=Approved", Form: true, UserAgent: true}},
		{"save", func(e *policy.Evidence, r policy.Registry) {
			e.Markup.Actions[0].Type, r[0].Actions = "SaveAction", nil
		},
			policy.RequestPlan{Method: "POST", URL: u, Form: true, UserAgent: true, Bearer: true, Audience: "https://shop.example"}},
		{"save with a body", func(e *policy.Evidence, r policy.Registry) {
			e.Markup.Actions[0].Type, r[0].Actions = "SaveAction", nil
			e.Dials = policy.Dials{policy.DialSaveBody: "confirmed"}
		}, policy.RequestPlan{Method: "POST", URL: u, Body: "confirmed=Approved", Form: true, UserAgent: true, Bearer: true, Audience: "https://shop.example"}},
		{"no method", func(e *policy.Evidence, _ policy.Registry) { e.Markup.Actions[0].Handlers[0].Method = "" },
			policy.RequestPlan{Method: "POST", URL: u, Body: "confirmed=Approved", Form: true, UserAgent: true, Bearer: true, Audience: "https://shop.example"}},
		{"no method, GET by dial", func(e *policy.Evidence, _ policy.Registry) {
			e.Markup.Actions[0].Handlers[0].Method = ""
			e.Dials = policy.Dials{policy.DialMethod: "GET"}
		}, policy.RequestPlan{Method: "GET", URL: u, UserAgent: true, Bearer: true, Audience: "https://shop.example"}},
		{"GET with inputs", func(e *policy.Evidence, _ policy.Registry) {
			e.Markup.Actions[0].Handlers[0].Method = "GET"
			e.Dials = policy.Dials{policy.DialGetInputs: "query"}
		}, policy.RequestPlan{Method: "GET", URL: u + "&confirmed=Approved", UserAgent: true, Bearer: true, Audience: "https://shop.example"}},
		{"subdomain", func(e *policy.Evidence, r policy.Registry) {
			e.Header.From[0] = policy.Address{Addr: "a@mail.shop.example", Domain: "mail.shop.example"}
			r[0].From = "mail.shop.example"
		}, policy.RequestPlan{Method: "POST", URL: u, Body: "confirmed=Approved", Form: true, UserAgent: true, Bearer: true, Audience: "https://mail.shop.example"}},
		{"subdomain, organisational", func(e *policy.Evidence, r policy.Registry) {
			e.Header.From[0] = policy.Address{Addr: "a@mail.shop.example", Domain: "mail.shop.example"}
			r[0].From = "mail.shop.example"
			e.Dials = policy.Dials{policy.DialAudience: "org-domain"}
		}, policy.RequestPlan{Method: "POST", URL: u, Body: "confirmed=Approved", Form: true, UserAgent: true, Bearer: true, Audience: "https://shop.example"}},
		{"self-sent", func(e *policy.Evidence, r policy.Registry) {
			e.Access.Pattern = policy.PatternSelf
			r[0].From = "other.example"
		}, policy.RequestPlan{Method: "POST", URL: u, Body: "confirmed=Approved", Form: true, UserAgent: true}},
		{"self-sent with token", func(e *policy.Evidence, r policy.Registry) {
			e.Access.Pattern = policy.PatternSelf
			r[0].From = "other.example"
			e.Dials = policy.Dials{policy.DialSelfBearer: "yes"}
		}, policy.RequestPlan{Method: "POST", URL: u, Body: "confirmed=Approved", Form: true, UserAgent: true, Bearer: true, Audience: "https://shop.example"}},
		{"self-sent, of the handler", func(e *policy.Evidence, r policy.Registry) {
			e.Access.Pattern, e.Markup.Actions[0].Handlers[0].URL = policy.PatternSelf, "https://API.shop.example:8443/approve"
			r[0].From = "other.example"
			e.Dials = policy.Dials{policy.DialSelfBearer: "yes", policy.DialSelfAudience: "handler-host"}
		}, policy.RequestPlan{Method: "POST", URL: "https://API.shop.example:8443/approve", Body: "confirmed=Approved", Form: true, UserAgent: true, Bearer: true, Audience: "https://api.shop.example"}},
		{"not self-sent", func(e *policy.Evidence, _ policy.Registry) {
			e.Dials = policy.Dials{policy.DialSelfAudience: "handler-host"}
			e.Markup.Actions[0].Handlers[0].URL = "https://api.shop.example/"
		}, policy.RequestPlan{Method: "POST", URL: "https://api.shop.example/", Body: "confirmed=Approved", Form: true, UserAgent: true, Bearer: true, Audience: "https://shop.example"}},
		{"JSON by dial", func(e *policy.Evidence, _ policy.Registry) {
			e.Markup.Actions[0].Handlers[0].Encoding = " application/JSON ; charset=utf-8"
			e.Dials = policy.Dials{policy.DialEncoding: "stated"}
		}, policy.RequestPlan{Method: "POST", URL: u, Body: `{"confirmed":"Approved"}`, JSON: true, UserAgent: true, Bearer: true, Audience: "https://shop.example"}},
		{"JSON without inputs", func(e *policy.Evidence, r policy.Registry) {
			e.Markup.Actions[0].Type, r[0].Actions = "SaveAction", nil
			e.Markup.Actions[0].Handlers[0].Encoding = "application/json"
			e.Dials = policy.Dials{policy.DialEncoding: "stated"}
		}, policy.RequestPlan{Method: "POST", URL: u, Body: "{}", JSON: true, UserAgent: true, Bearer: true, Audience: "https://shop.example"}},
		{"another encoding", func(e *policy.Evidence, _ policy.Registry) {
			e.Markup.Actions[0].Handlers[0].Encoding = "multipart/form-data"
			e.Dials = policy.Dials{policy.DialEncoding: "stated"}
		}, policy.RequestPlan{Method: "POST", URL: u, Body: "confirmed=Approved", Form: true, UserAgent: true, Bearer: true, Audience: "https://shop.example"}},
		{"JSON is asked for by GET", func(e *policy.Evidence, _ policy.Registry) {
			e.Markup.Actions[0].Handlers[0] = policy.Handler{Type: "HttpActionHandler", URL: u, Method: "GET", Encoding: "application/json"}
			e.Dials = policy.Dials{policy.DialEncoding: "stated"}
		}, policy.RequestPlan{Method: "GET", URL: u, UserAgent: true, Bearer: true, Audience: "https://shop.example"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, reg := good()
			tt.change(&e, reg)
			tt.want.Persona = policy.PersonaProvider
			v := policy.DecideClick(policy.ClickEvidence{Message: e, At: noon}, reg)
			if v.Request == nil || *v.Request != tt.want {
				t.Errorf("got %+v\nwant %+v\n%s", v.Request, tt.want, v.Text())
			}
		})
	}
}

func TestDecideUnsubscribeClick(t *testing.T) {
	t.Parallel()
	e, reg := good()
	want := policy.RequestPlan{Method: "POST", URL: "https://shop.example/u", Body: "List-Unsubscribe=One-Click", Form: true}
	if v := policy.DecideUnsubscribe(policy.ClickEvidence{Message: e, At: noon}, reg); v.Request == nil || *v.Request != want {
		t.Errorf("request = %+v", v.Request)
	}
	pending := policy.ClickEvidence{Message: e, At: noon, Earlier: []policy.EarlierClick{policy.EarlierPending}}
	if v := policy.DecideUnsubscribe(pending, reg); v.Answer != policy.ClickRefuse || v.Reason != "request-pending" {
		t.Errorf("got %s (%s)", v.Answer, v.Reason)
	}
	e.Auth.DKIM = nil
	if v := policy.DecideUnsubscribe(policy.ClickEvidence{Message: e, At: noon}, reg); v.Answer != policy.ClickRefuse || v.Reason != "dkim-missing" {
		t.Errorf("got %s (%s)", v.Answer, v.Reason)
	}
}
