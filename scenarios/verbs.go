package scenarios

import (
	"slices"

	"github.com/doppelbox/doppelbox/policy"
	"github.com/doppelbox/doppelbox/policy/registry"
	"github.com/doppelbox/doppelbox/scenarios/provider"
)

// Verbs returns all verbs, world verbs first.
func Verbs() []Verb {
	return slices.Concat(worldVerbs(), mailVerbs(), personVerbs(), timeVerbs(), claimVerbs())
}

// worldVerbs are those that make a world.
func worldVerbs() []Verb {
	return slices.Concat(providerVerbs(), networkVerbs(), answerVerbs(), elsewhereVerbs())
}

// providerVerbs say what the provider is and whom it knows.
func providerVerbs() []Verb {
	return []Verb{
		{
			Name: "provider", Group: GroupWorld,
			Words: []Param{{Name: "DOMAIN", Form: FormDomain, Required: true}},
			Doc: "Names the provider by the domain of its accounts; before every other step but clock. A second one stands beside the first, " +
				"with keys and an issuer of its own.",
			Example: "provider gmail.test",
		},
		{
			Name: "clock", Group: GroupWorld,
			Words: []Param{{Name: "TIME", Form: FormTime, Required: true}},
			Doc: "Sets the provider's clock. The first one comes before every other step but provider, and says where the clock begins; a later one is an " +
				"advance until then. In a scenario the clock stands between advances; under serve and exec it also runs, as the machine's does.",
			Example: "clock 2026-01-15T09:00:00Z",
		},
		{
			Name: "account", Group: GroupWorld,
			Words: []Param{{Name: "ADDRESS", Form: FormAddress, Required: true}},
			Keys: []Param{
				{Key: "sendas", Name: "ADDRESS", Form: FormAddress, List: true},
				{Key: "popfrom", Name: "ADDRESS", Form: FormAddress, List: true},
				{Key: "forward", Name: "ADDRESS", Form: FormAddress},
				{Key: "password", Name: "TEXT", Form: FormText},
				{Key: "state", Values: []string{
					string(policy.AccountActive), string(policy.AccountDisabled), string(policy.AccountFull), string(policy.AccountFullInactive),
				}},
			},
			Doc: "Makes a mailbox at the provider, or adds to its settings: addresses that the user has proved she may send mail as, addresses whose " +
				"mail it fetches by POP, where it forwards its mail to, the password for mail programs (IMAP, POP3), without which they have no access, and " +
				"whether it can get mail.",
			Example: "account alice@gmail.test sendas=user@acme.test popfrom=old@isp.example forward=carol@other.test",
		},
		{
			Name: "register", Group: GroupWorld,
			Words: []Param{{Name: "ADDRESS|DOMAIN", Form: FormSender, Required: true}},
			Keys: []Param{
				{Key: "actions", Name: "TYPE", Values: registry.ActionTypes(), List: true},
				{Key: "bearer", Values: []string{"yes", "no"}},
				{Key: "since", Name: "TIME", Form: FormDate},
				{Key: "until", Name: "TIME", Form: FormDate},
			},
			Doc: "Registers a sender for types of actions, every type if none is given; with bearer=yes its requests carry a token. " +
				"Valid from since, and no longer at until; a date is its midnight in UTC.",
			Example: "register noreply@shop.example actions=ConfirmAction,SaveAction bearer=yes until=2027-01-01",
			check:   checkRegister,
		},
		{
			Name: "sender", Group: GroupWorld,
			Words: []Param{{Name: "DOMAIN", Form: FormDomain, Required: true}},
			Keys:  []Param{{Key: "bulk", Values: []string{"yes", "no"}, Required: true}},
			Doc: "Says that a domain, with all below it, is a bulk sender, or that it is none; without this step its volume makes it one, " +
				"for ever (dial bulk.volume).",
			Example: "sender shop.example bulk=yes",
		},
	}
}

// networkVerbs say what there is around the provider.
func networkVerbs() []Verb {
	return []Verb{
		{
			Name: "dns", Group: GroupWorld,
			Words:   []Param{{Name: "SECTION", Form: FormSection, Required: true}},
			Doc:     "Publishes the zone text of a section.",
			Example: "dns zone",
		},
		{
			Name: "endpoint", Group: GroupWorld,
			Words: []Param{{Name: "URL", Form: FormURL, Required: true}},
			Keys: []Param{
				{Key: "status", Name: "STATUS", Form: FormStatus, List: true},
				{Key: "body", Name: "TEXT", Form: FormText},
				{Key: "header", Name: "NAME:VALUE", Form: FormHeaderField, Repeated: true},
				{Key: "fail", Values: words(provider.Failures())},
				{Key: "trusts", Name: "DOMAIN", Form: FormDomain},
			},
			Doc: "Fakes a service at a URL, within the process. It answers with the statuses in order and stays at the last one; " +
				"200 if none is given. With fail it fails so; failures of TLS are of the whole host. slow-header, cut-header and bad-response are of HTTP/1.1: " +
				"by HTTP/2 (dial request.http2), which has no such text, the first is a timeout, and the others break the connection. With trusts it answers 401 to a request without a valid token of the provider of that domain.",
			Example: `endpoint https://shop.example/approve status=408,200 header="Content-Type: text/plain" body=done`,
			check:   checkEndpoint,
		},
		{
			Name: "route", Group: GroupWorld,
			Words:   []Param{{Name: "HOST", Form: FormDomain, Required: true}},
			Keys:    []Param{{Key: "to", Name: "ADDR:PORT", Form: FormAddrPort, Required: true}},
			Doc:     "Sends requests for a host to a service outside of the process.",
			Example: "route shop.example to=127.0.0.1:8443",
		},
		{
			Name: "peer", Group: GroupWorld,
			Words: []Param{{Name: "IP", Form: FormIP, Required: true}},
			Keys: []Param{
				{Key: "as", Name: "IP", Form: FormIP},
				{Key: "ptr", Name: "NAME", Form: FormDomain},
			},
			Doc: "Says who connects from an address: as counts its connections as coming from another address; " +
				"ptr publishes a name for it, in reverse and forward DNS.",
			Example: "peer 127.0.0.1 as=192.0.2.10 ptr=mail.shop.example",
			check:   checkPeer,
		},
	}
}

// answerVerbs say what the provider asks of senders, and answers them.
func answerVerbs() []Verb {
	return []Verb{
		{
			Name: "inbound", Group: GroupWorld,
			Words: []Param{{Values: []string{"observe", "enforce"}, Required: true}},
			Keys: []Param{
				{Key: "proxy-from", Name: "CIDR", Form: FormPrefix, List: true},
				{Key: "tls", Values: []string{"optional", "required"}},
				{Key: "allow-from", Name: "CIDR", Form: FormPrefix, List: true},
			},
			Doc: "Says whether the provider answers mail by its verdict or only records it, from where it believes a PROXY header, and whether " +
				"its domains take mail by TLS only, and from some addresses only; what is not said stays as it is. The world's own providers may always deliver.",
			Example: "inbound enforce proxy-from=127.0.0.0/8 tls=required allow-from=192.0.2.0/24",
		},
		{
			Name: "fault", Group: GroupWorld,
			Words: []Param{{Name: "REPLY|none", Form: FormWord, Required: true}},
			Keys: []Param{
				{Key: "at", Values: phases()},
				{Key: "peer", Name: "IP", Form: FormIP},
				{Key: "domain", Name: "DOMAIN", Form: FormDomain},
				{Key: "account", Name: "ADDRESS", Form: FormAddress},
				{Key: "times", Name: "N", Form: FormInteger},
			},
			Doc: "Orders a reply of the catalogue (explain --replies), to see what the sender does with it: always or so many times, to a peer, to mail " +
				"whose envelope is of a domain (with <> the name of HELO), for an account. It is given in observe, too, and the mail counts for no limit. " +
				"The path faults has how many orders stand; none takes all of them back.",
			Example: "fault reputation-ip-temporary peer=192.0.2.10 times=2",
			check:   checkFault,
		},
		{
			Name: "dial", Group: GroupWorld,
			Words: []Param{
				{Name: "NAME", Form: FormText, Required: true},
				{Name: "VALUE", Form: FormText, Required: true},
			},
			Doc:     "Sets behaviour that no document settles; explain --dials prints what there is.",
			Example: "dial retry.5xx yes",
			check:   checkDial,
		},
	}
}

// mailVerbs are what senders do.
func mailVerbs() []Verb {
	return append([]Verb{
		{
			Name: "sign", Group: GroupMail,
			Words: []Param{{Name: "SECTION", Form: FormSection, Required: true}},
			Keys: []Param{
				{Key: "d", Name: "DOMAIN", Form: FormDomain, Required: true},
				{Key: "s", Name: "SELECTOR", Form: FormDomain, Required: true},
				{Key: "headers", Name: "NAME:NAME:...", Form: FormFieldNames},
				{Key: "c", Name: "HEADER/BODY", Values: []string{
					"simple", "relaxed", "simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed",
				}},
				{Key: "i", Name: "AUID", Form: FormAUID},
				{Key: "expires", Name: "DURATION", Form: FormDuration},
				{Key: "algorithm", Values: []string{"rsa", "ed25519"}},
				{Key: "break", Values: []string{"body", "signature", "key", "from"}},
			},
			Doc:     "Signs the mail in a section with DKIM, in place, and publishes the key. With break the signature is spoilt in a named way.",
			Example: "sign mail.eml d=shop.example s=s1 headers=from:to:subject c=relaxed/simple break=body",
		},
		{
			Name: "deliver", Group: GroupMail,
			Words: []Param{{Name: "SECTION", Form: FormSection, Required: true}},
			Keys: []Param{
				{Key: "from", Name: "ADDRESS|<>", Form: FormReversePath, Required: true},
				{Key: "to", Name: "ADDRESS", Form: FormAddress, List: true, Required: true},
				{Key: "peer", Name: "IP", Form: FormIP},
				{Key: "helo", Name: "NAME", Form: FormWord},
				{Key: "tls", Values: []string{"yes", "no"}},
			},
			Doc:     "Delivers the mail in a section by SMTP, with line ends CRLF whatever the section has.",
			Example: "deliver mail.eml from=bounce@shop.example to=alice@gmail.test,bob@gmail.test peer=192.0.2.10",
		},
	}, forwardVerbs()...)
}

// personVerbs are what the user does.
func personVerbs() []Verb {
	message := Param{Key: "message", Name: "N", Form: FormInteger}
	return []Verb{
		{
			Name: "click", Group: GroupPerson,
			Words: []Param{{Name: "LABEL|INDEX", Form: FormText, Required: true}},
			Keys:  []Param{message, {Key: "persona", Values: personas()}},
			Doc: "Presses the button with this label or, from 0, of this index; in the newest message, or in the Nth from 0. A persona other than provider " +
				"is a program that asks nobody: without a token, with the provider's User-Agent and no token, or with a valid token of another provider.",
			Example: `click "Approve expense" message=0 persona=third-party`,
		},
		{
			Name: "unsubscribe", Group: GroupPerson,
			Keys:    []Param{message},
			Doc:     "Uses one-click unsubscription, in the newest message, or in the Nth from 0.",
			Example: "unsubscribe",
		},
		{
			Name: "open", Group: GroupPerson,
			Words:   []Param{{Name: "N", Form: FormInteger, Required: true}},
			Doc:     "Looks at the Nth message from 0, of all accounts: what follows speaks of that one.",
			Example: "open 1",
		},
		{
			Name: "sendas", Group: GroupPerson,
			Words: []Param{
				{Name: "ACCOUNT", Form: FormAddress, Required: true},
				{Name: "ADDRESS", Form: FormAddress, Required: true},
			},
			Doc:     "Asks that the account may send mail as an address: a mail with a code goes there.",
			Example: "sendas alice@gmail.test user@acme.test",
		},
		{
			Name: "confirm", Group: GroupPerson,
			Words: []Param{
				{Name: "ACCOUNT", Form: FormAddress, Required: true},
				{Name: "ADDRESS", Form: FormAddress, Required: true},
			},
			Keys: []Param{{Key: "code", Name: "CODE", Form: FormWord}},
			Doc: "Gives the code that was sent to an address, which is read from that mail if none is given. A wrong one changes nothing; " +
				"confirm.error says what is wrong.",
			Example: "confirm alice@gmail.test user@acme.test code=123456789",
		},
	}
}

// timeVerbs move time and keys.
func timeVerbs() []Verb {
	return []Verb{
		{
			Name: "advance", Group: GroupTime,
			Words: []Param{{Name: "DURATION", Form: FormDuration, Required: true}},
			Doc: "Moves the provider's clock on, and does what falls due on the way, each thing at its time: requests that are made again, mail that is " +
				"fetched or sent.",
			Example: "advance 1h30m",
		},
		{
			Name: "rotate", Group: GroupTime,
			Keys: []Param{{Key: "withdraw", Values: []string{"yes", "no"}}},
			Doc: "Makes the provider sign with its next key. The one before stays published for a while, and until then rotates no second time; " +
				"with withdraw=yes, as when keys have become known to others, none that has signed before stays, and it is never too soon.",
			Example: "rotate",
		},
	}
}

// claimVerbs say what must hold.
func claimVerbs() []Verb {
	return []Verb{
		{
			Name: "expect", Group: GroupClaim,
			Words: []Param{
				{Name: "PATH", Form: FormPath, Required: true},
				{Name: "[not] exists|==|!=|contains|matches [VALUE]", Form: FormText, Required: true, Repeated: true},
			},
			Doc: "Claims that there is something at a path, or how its value compares. The value of matches is a regular expression (RE2), " +
				"found anywhere unless anchored.",
			Example: `expect request.0.body == confirmed=Approved`,
			check:   checkExpect,
		},
		{
			Name: "cmp", Group: GroupClaim,
			Words: []Param{
				{Name: "WHAT", Values: Comparable(), Required: true},
				{Name: "SECTION", Form: FormSection, Required: true},
			},
			Doc:     "Claims that something, such as verdict, is byte for byte what a section holds. An update rewrites the section.",
			Example: "cmp verdict want",
		},
		probeVerb(),
	}
}
