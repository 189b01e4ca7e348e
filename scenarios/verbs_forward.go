package scenarios

import (
	"slices"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/quote"
	"github.com/doppelbox/doppelbox/scenarios/forwarding"
)

// elsewhereVerbs say what there is of mail outside of the provider.
func elsewhereVerbs() []Verb {
	return []Verb{
		{
			Name: "sink", Group: GroupWorld,
			Words: []Param{{Name: "DOMAIN", Form: FormDomain, Required: true}},
			Keys: []Param{
				{Key: "to", Name: "ADDR:PORT", Form: FormAddrPort},
				{Key: "code", Name: "CODE", Values: []string{"250", "450", "550"}},
				{Key: "tls", Values: []string{"none", "untrusted", "name"}},
			},
			Doc: "Takes the provider's own mail to a domain: forwards and confirmations. With to it goes by SMTP to that server; else to one within " +
				"the process, which answers with the code. With tls that one has no STARTTLS, or a certificate of an unknown authority or for another name. " +
				"Mail to a domain without sink goes nowhere.",
			Example: "sink acme.test code=450",
			check:   checkSink,
		},
		{
			Name: "popserver", Group: GroupWorld,
			Words: []Param{{Name: "ADDRESS", Form: FormAddress, Required: true}},
			Keys: []Param{
				{Key: "at", Name: "ADDR:PORT", Form: FormAddrPort},
				{Key: "host", Name: "NAME", Form: FormDomain},
				{Key: "login", Name: "NAME", Form: FormWord},
				{Key: "password", Name: "TEXT", Form: FormText},
				{Key: "tls", Values: []string{"implicit", "stls", "none"}},
				{Key: "keep", Values: []string{"yes", "no"}},
				{Key: "fail", Values: []string{"login", "drop"}},
			},
			Doc: "Says how the mail of an address elsewhere is fetched by POP: without at, from a mailbox within the process. With keep=no it is deleted " +
				"there when it is stored here. With fail the mailbox within the process refuses the login, or breaks off once in the second message.",
			Example: "popserver old@isp.example at=127.0.0.1:995 login=old password=secret keep=no",
			check:   checkPopserver,
		},
	}
}

// forwardVerbs are what people's clients and forwarders do with a mail.
func forwardVerbs() []Verb {
	section := Param{Name: "SECTION", Form: FormSection, Required: true}
	signing := []Param{{Key: "d", Name: "DOMAIN", Form: FormDomain}, {Key: "s", Name: "SELECTOR", Form: FormDomain}}
	sending := []Param{
		{Key: "to", Name: "ADDRESS", Form: FormAddress, Required: true},
		{Key: "peer", Name: "IP", Form: FormIP},
		{Key: "helo", Name: "NAME", Form: FormWord},
		{Key: "tls", Values: []string{"yes", "no"}},
	}
	return []Verb{
		{
			Name: "forward", Group: GroupMail,
			Words: []Param{section},
			Keys: slices.Concat([]Param{
				{Key: "by", Name: "ADDRESS", Form: FormAddress, Required: true},
				{Key: "style", Values: styles(), Required: true},
				{Key: "language", Values: languages()},
				{Key: "as", Values: []string{string(forwarding.Inline), string(forwarding.Attachment)}},
				{Key: "markup", Values: []string{string(forwarding.Keep), string(forwarding.Strip)}},
				{Key: "note", Name: "TEXT", Form: FormText},
				{Key: "from", Name: "ADDRESS|<>", Form: FormReversePath},
			}, sending, signing),
			Doc: "Forwards the mail in a section by hand, as a user does in a client, and delivers what that makes of it. The original's markup is kept in " +
				"the quote, as the harder case; strip takes it out, as Gmail does. With d and s the forwarder's domain signs.",
			Example: "forward mail.eml by=bob@corp.example style=gmail language=de as=inline to=alice@gmail.test peer=198.51.100.7",
			check:   checkForward,
		},
		{
			Name: "autoforward", Group: GroupMail,
			Words: []Param{section},
			Keys: slices.Concat([]Param{
				{Key: "by", Name: "ADDRESS", Form: FormAddress, Required: true},
				{Key: "style", Values: []string{string(policy.ForwardSRS), string(policy.ForwardPlain), string(policy.ForwardCAF), string(policy.ForwardResent)}, Required: true},
				{Key: "from", Name: "ADDRESS|<>", Form: FormReversePath, Required: true},
				{Key: "break", Values: []string{string(forwarding.BreakFooter), string(forwarding.BreakSubject), string(forwarding.BreakReencode)}},
			}, sending, signing),
			Doc: "Passes the mail in a section on as a rule of the address in by does, to which it came with the envelope sender in from, and delivers what " +
				"that makes of it. With break the content is changed on the way.",
			Example: "autoforward mail.eml by=user@acme.test style=srs from=bounce@shop.example to=alice@gmail.test peer=198.51.100.7 break=footer",
			check:   checkSigning,
		},
		{
			Name: "fetch", Group: GroupMail,
			Words: []Param{{Name: "ACCOUNT", Form: FormAddress, Required: true}},
			Keys: []Param{
				{Key: "from", Name: "ADDRESS", Form: FormAddress, Required: true},
				{Key: "mail", Name: "SECTION", Form: FormSection, List: true},
			},
			Doc: "Fetches the mail of an address elsewhere into an account that has it as popfrom, by POP; first the mail in the sections is put into the mailbox " +
				"within the process. A fetch that fails is no error of the file: fetch.error says why.",
			Example: "fetch alice@gmail.test from=old@isp.example mail=mail.eml",
		},
	}
}

// personas are those of a click.
func personas() []string {
	var list []string
	for _, p := range policy.Personas() {
		list = append(list, string(p))
	}
	return list
}

// styles and languages are those that clients are known to forward in.
func styles() []string {
	return wordingsBy(func(w quote.Wording) string { return w.Client })
}

func languages() []string {
	list := wordingsBy(func(w quote.Wording) string { return w.Language })
	slices.Sort(list)
	return list
}

func wordingsBy(what func(quote.Wording) string) []string {
	var list []string
	for _, w := range quote.Wordings() {
		if name := what(w); !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}
