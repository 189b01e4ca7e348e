package probe

// How the request is written down. Whatever a server makes of one of these,
// nothing is left over that could become part of somebody else's request (see
// [Framing]).
var framingProbes = group("framing", "framing", []Probe{
	{
		ID: "body-incomplete", Title: "Half of the body, then nothing more",
		Reason: "A connection that broke. The provider comes again, and must find the action untouched.",
		Source: "RFC 9112 8", Severity: Medium, Expect: ShouldRefuse, Change: Change{Framing: FramingHalf},
	}, {
		ID: "length-too-long", Title: "A Content-Length of more than there is",
		Reason: "A connection that broke after the form was whole, as far as code can see that does not wait for the end.",
		Source: "RFC 9112 8", Severity: Medium, Expect: ShouldRefuse, Change: Change{Framing: FramingLong},
	}, {
		ID: "length-too-short", Title: "A Content-Length of half the body",
		Reason: "The form ends in the middle of its value.",
		Source: "RFC 9112 6.3", Severity: Medium, Expect: ShouldRefuse, Fix: "form", Change: Change{Framing: FramingShort},
	}, {
		ID: "length-missing", Title: "A body without Content-Length and without chunks",
		Reason: "By HTTP there is no body then; who reads one reads what a proxy has not seen.",
		Source: "RFC 9112 6.3", Severity: Medium, Expect: ShouldRefuse, Fix: "form", Change: Change{Framing: FramingNone},
	}, {
		ID: "length-sign", Title: "A Content-Length with a plus sign",
		Reason: "Two servers in a row that read it differently can be made to see different requests.",
		Source: "RFC 9112 6.3, 11.2; RFC 9110 8.6", Severity: Medium, Expect: ShouldRefuse, Change: Change{Framing: FramingSigned},
	}, {
		ID: "coding-unknown", Title: "A Transfer-Encoding that nobody knows",
		Reason: "Two servers in a row that read it differently can be made to see different requests.",
		Source: "RFC 9112 6.1, 11.2", Severity: Medium, Expect: ShouldRefuse, Change: Change{Framing: FramingUnknown},
	}, {
		ID: "coding-space", Title: "A space between the name Transfer-Encoding and its colon",
		Reason: "One server sees the field, and the one before it does not.",
		Source: "RFC 9112 5.1, 11.2", Severity: Medium, Expect: ShouldRefuse, Change: Change{Framing: FramingSpace},
	}, {
		ID: "chunk-size-bad", Title: "The size of a chunk in the notation of C",
		Reason: "Two servers in a row that read it differently can be made to see different requests.",
		Source: "RFC 9112 7.1, 11.2", Severity: Medium, Expect: ShouldRefuse, Change: Change{Framing: FramingBadChunk},
	},
})
