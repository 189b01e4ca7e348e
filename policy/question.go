package policy

import (
	"slices"
	"strings"
)

// Question is something about actions that no document answers, and what stands
// for the answer here.
type Question struct {
	ID    string   `json:"id"` // As section 13 of gmail-actions.md has it, such as "U1".
	Text  string   `json:"text"`
	Dials []DialID `json:"dials,omitempty"` // Those whose source names it.
	// Instead says why no dial is needed, where there is none.
	Instead string `json:"instead,omitempty"`
}

// questions are those of gmail-actions.md section 13.
var questions = []Question{
	{ID: "U1", Text: "what the header and the claims of a real token are, and how its keys are published"},
	{ID: "U2", Text: "what is a success, what is retried and when, how long a request may take, and whether redirects are followed"},
	{ID: "U3", Text: "how the request of a SaveAction looks, and one by GET"},
	{ID: "U4", Text: "what the encoding of a handler does"},
	{ID: "U5", Text: "what aud is if From is of a subdomain, or the mail is self-sent"},
	{ID: "U6", Text: "which markup counts, and how much of it"},
	{ID: "U7", Text: "whether self-sent actions carry a token"},
	{ID: "U8", Text: "what else the registration form asks for", Instead: "nothing of it happens to mail: register says what does"},
	{ID: "U9", Text: "whether the RSVP of a sender who is not the provider is still shown"},
	{ID: "U10", Text: "where requests come from, and how they come: by which version of HTTP, and in which connections"},
}

// Questions returns what section 13 of gmail-actions.md leaves open, in its order.
func Questions() []Question {
	list := slices.Clone(questions)
	for i := range list {
		for _, d := range dials {
			if slices.Contains(strings.FieldsFunc(d.Source, func(r rune) bool { return strings.ContainsRune(" ,:;()", r) }), list[i].ID) {
				list[i].Dials = append(list[i].Dials, d.ID)
			}
		}
	}
	return list
}
