package quote

import (
	"slices"
	"strings"
)

// The clients whose wordings are known, as policy.Enclosed names them. Outlook
// has two: that of the program, and that of the web and of the older programs,
// which say "Sent" for "Date". Both are reported as "outlook".
const (
	Gmail       = "gmail"
	AppleMail   = "apple-mail"
	Outlook     = "outlook"
	OutlookLive = "outlook-live"
	Thunderbird = "thunderbird"
)

// Field is a field of the header block that a client writes above the mail that
// it forwards.
type Field string

// The fields.
const (
	FieldFrom    Field = "from"
	FieldDate    Field = "date"
	FieldSubject Field = "subject"
	FieldTo      Field = "to"
	FieldCc      Field = "cc"
)

// Wording is how one client words, in one language, what stands above a mail
// that its user forwards by hand (gmail-inbound.md 4.b).
type Wording struct {
	Client   string
	Language string // As in policy.Enclosed: "de", "pt-br".
	// Line is the whole line that introduces the mail, with its hyphens or its
	// colon. Outlook on the web has a rule of underscores there, which tells
	// neither client nor language; the program has nothing.
	Line string
	// From, Date, Subject, To and Cc are the labels as the client writes them,
	// without the colon. French ones may have a space before it.
	From, Date, Subject, To, Cc string
	Order                       []Field  // In which the labels stand.
	Prefixes                    []string // Of Subject, with the colon. New mails have the first.
	Quoted                      bool     // Line and mail stand behind "> " in text/plain.
}

// Label returns the label of a field.
func (w Wording) Label(f Field) string {
	switch f {
	case FieldFrom:
		return w.From
	case FieldDate:
		return w.Date
	case FieldSubject:
		return w.Subject
	case FieldTo:
		return w.To
	case FieldCc:
		return w.Cc
	}
	return ""
}

// family returns the client in the words of policy.Enclosed.
func (w Wording) family() string {
	if w.Client == OutlookLive {
		return Outlook
	}
	return w.Client
}

// hyphens reports whether the line has so many hyphens before and after its
// words. Until 2018 Gmail wrote one more after them (gmail-inbound.md 4.b).
func (w Wording) hyphens(left, right int) bool {
	wantLeft := len(w.Line) - len(strings.TrimLeft(w.Line, "-"))
	wantRight := len(w.Line) - len(strings.TrimRight(w.Line, "-"))
	return left == wantLeft && (right == wantRight || w.Client == Gmail && right == wantRight+1)
}

// Wordings returns all wordings that are known, by client and language. The
// caller may change them.
func Wordings() []Wording {
	list := make([]Wording, len(wordings))
	for i, w := range wordings {
		list[i] = w.complete()
	}
	return list
}

// Find returns the wording of a client in a language; false if it is not known.
func Find(client, language string) (Wording, bool) {
	for _, w := range wordings {
		if w.Client == client && w.Language == language {
			return w.complete(), true
		}
	}
	return Wording{}, false
}

// complete adds what a client does in all languages.
func (w Wording) complete() Wording {
	switch w.Client {
	case Gmail:
		// Gmail translates the label of From only.
		w.Line, w.Date, w.Subject, w.To, w.Cc = "---------- Forwarded message ---------", "Date", "Subject", "To", "Cc"
		w.Order = []Field{FieldFrom, FieldDate, FieldSubject, FieldTo, FieldCc}
		w.Prefixes = []string{"Fwd:"}
	case AppleMail:
		w.Order = []Field{FieldFrom, FieldSubject, FieldDate, FieldTo, FieldCc}
		w.Prefixes = []string{"Fwd:"}
		w.Quoted = true
	case Outlook:
		w.Order = []Field{FieldFrom, FieldDate, FieldTo, FieldCc, FieldSubject}
		w.Prefixes = slices.Clone(w.Prefixes)
	case OutlookLive:
		w.Line = "________________________________"
		w.Order = []Field{FieldFrom, FieldDate, FieldTo, FieldCc, FieldSubject}
		w.Prefixes = slices.Clone(w.Prefixes)
	case Thunderbird:
		w.Order = []Field{FieldSubject, FieldDate, FieldFrom, FieldTo, FieldCc}
		w.Prefixes = []string{"Fwd:"}
	}
	return w
}

// wordings is what the clients write, without what complete adds. All rows are
// those of samples, except OutlookLive in other languages than English, of which
// there was none: these have the labels of Outlook, with the word for Sent by
// which programs that cut quotations off commonly know it. For fi, pt, pt-br and
// ru not even that was found; they are unverified, and so are the prefixes of fi
// and ru.
var wordings = []Wording{
	{Client: Gmail, Language: "cs", From: "Od"},
	{Client: Gmail, Language: "da", From: "Fra"},
	{Client: Gmail, Language: "de", From: "Von"},
	{Client: Gmail, Language: "en", From: "From"},
	{Client: Gmail, Language: "es", From: "De"},
	{Client: Gmail, Language: "et", From: "Saatja"},
	{Client: Gmail, Language: "fi", From: "Lähettäjä"},
	{Client: Gmail, Language: "fr", From: "De "},
	{Client: Gmail, Language: "hr", From: "Šalje"},
	{Client: Gmail, Language: "hu", From: "Feladó"},
	{Client: Gmail, Language: "it", From: "Da"},
	{Client: Gmail, Language: "nl", From: "Van"},
	{Client: Gmail, Language: "no", From: "Fra"},
	{Client: Gmail, Language: "pl", From: "Od"},
	{Client: Gmail, Language: "pt", From: "De"},
	{Client: Gmail, Language: "pt-br", From: "De"},
	{Client: Gmail, Language: "ro", From: "De la"},
	{Client: Gmail, Language: "ru", From: "От"},
	{Client: Gmail, Language: "sk", From: "Od"},
	{Client: Gmail, Language: "sv", From: "Från"},
	{Client: Gmail, Language: "tr", From: "Gönderen"},
	{Client: Gmail, Language: "uk", From: "Від"},
	{Client: AppleMail, Language: "cs", Line: "Začátek přeposílané zprávy:", From: "Od", Date: "Datum", Subject: "Předmět", To: "Komu", Cc: "Kopie"},
	{Client: AppleMail, Language: "da", Line: "Start på videresendt besked:", From: "Fra", Date: "Dato", Subject: "Emne", To: "Til", Cc: "Cc"},
	{Client: AppleMail, Language: "de", Line: "Anfang der weitergeleiteten Nachricht:", From: "Von", Date: "Datum", Subject: "Betreff", To: "An", Cc: "Kopie"},
	{Client: AppleMail, Language: "en", Line: "Begin forwarded message:", From: "From", Date: "Date", Subject: "Subject", To: "To", Cc: "Cc"},
	{Client: AppleMail, Language: "es", Line: "Inicio del mensaje reenviado:", From: "De", Date: "Fecha", Subject: "Asunto", To: "Para", Cc: "Cc"},
	{Client: AppleMail, Language: "fi", Line: "Välitetty viesti alkaa:", From: "Lähettäjä", Date: "Päivämäärä", Subject: "Aihe", To: "Vastaanottaja", Cc: "Kopio"},
	{Client: AppleMail, Language: "fr", Line: "Début du message réexpédié :", From: "De", Date: "Date", Subject: "Objet", To: "À", Cc: "Cc"},
	{Client: AppleMail, Language: "hr", Line: "Započni proslijeđenu poruku:", From: "Šalje", Date: "Datum", Subject: "Predmet", To: "Prima", Cc: "Cc"},
	{Client: AppleMail, Language: "hu", Line: "Továbbított levél kezdete:", From: "Feladó", Date: "Dátum", Subject: "Tárgy", To: "Címzett", Cc: "Másolat"},
	{Client: AppleMail, Language: "it", Line: "Inizio messaggio inoltrato:", From: "Da", Date: "Data", Subject: "Oggetto", To: "A", Cc: "Cc"},
	{Client: AppleMail, Language: "nl", Line: "Begin doorgestuurd bericht:", From: "Van", Date: "Datum", Subject: "Onderwerp", To: "Aan", Cc: "Kopie"},
	{Client: AppleMail, Language: "no", Line: "Videresendt melding:", From: "Fra", Date: "Dato", Subject: "Emne", To: "Til", Cc: "Kopi"},
	{Client: AppleMail, Language: "pl", Line: "Początek przekazywanej wiadomości:", From: "Od", Date: "Data", Subject: "Temat", To: "Do", Cc: "Dw"},
	{Client: AppleMail, Language: "pt", Line: "Início da mensagem reencaminhada:", From: "De", Date: "Data", Subject: "Assunto", To: "Para", Cc: "Cc"},
	{Client: AppleMail, Language: "pt-br", Line: "Início da mensagem encaminhada:", From: "De", Date: "Data", Subject: "Assunto", To: "Para", Cc: "Cc"},
	{Client: AppleMail, Language: "ro", Line: "Începe mesajul redirecționat:", From: "Expeditorul", Date: "Dată", Subject: "Subiectul", To: "Destinatarul", Cc: "Cc"},
	{Client: AppleMail, Language: "ru", Line: "Начало переадресованного сообщения:", From: "Отправитель", Date: "Дата", Subject: "Тема", To: "Кому", Cc: "Копия"},
	{Client: AppleMail, Language: "sk", Line: "Začiatok preposlanej správy:", From: "Od", Date: "Dátum", Subject: "Predmet", To: "Pre", Cc: "Cc"},
	{Client: AppleMail, Language: "sv", Line: "Vidarebefordrat mejl:", From: "Från", Date: "Datum", Subject: "Ämne", To: "Till", Cc: "Kopia"},
	{Client: AppleMail, Language: "tr", Line: "İleti başlangıcı:", From: "Kimden", Date: "Tarih", Subject: "Konu", To: "Kime", Cc: "Bilgi"},
	{Client: AppleMail, Language: "uk", Line: "Початок листа, що пересилається:", From: "Від кого", Date: "Дата", Subject: "Тема", To: "Кому", Cc: "Копія"},
	{Client: Outlook, Language: "cs", From: "Od", Date: "Datum", Subject: "Předmět", To: "Komu", Cc: "Kopie", Prefixes: []string{"FW:"}},
	{Client: Outlook, Language: "da", From: "Fra", Date: "Dato", Subject: "Emne", To: "Til", Cc: "Cc", Prefixes: []string{"VS:"}},
	{Client: Outlook, Language: "de", From: "Von", Date: "Datum", Subject: "Betreff", To: "An", Cc: "Cc", Prefixes: []string{"WG:"}},
	{Client: Outlook, Language: "en", From: "From", Date: "Date", Subject: "Subject", To: "To", Cc: "Cc", Prefixes: []string{"FW:"}},
	{Client: Outlook, Language: "es", From: "De", Date: "Fecha", Subject: "Asunto", To: "Para", Cc: "CC", Prefixes: []string{"RV:"}},
	{Client: Outlook, Language: "fi", From: "Lähettäjä", Date: "Päivämäärä", Subject: "Aihe", To: "Vastaanottaja", Cc: "Kopio", Prefixes: []string{"VL:"}},
	{Client: Outlook, Language: "fr", From: "De ", Date: "Date ", Subject: "Objet ", To: "À ", Cc: "Cc ", Prefixes: []string{"TR:"}},
	{Client: Outlook, Language: "hu", From: "Feladó", Date: "Dátum", Subject: "Tárgy", To: "Címzett", Cc: "Másolatot kap", Prefixes: []string{"FW:"}},
	{Client: Outlook, Language: "it", From: "Da", Date: "Data", Subject: "Oggetto", To: "A", Cc: "Cc", Prefixes: []string{"I:"}},
	{Client: Outlook, Language: "nl", From: "Van", Date: "Datum", Subject: "Onderwerp", To: "Aan", Cc: "CC", Prefixes: []string{"FW:"}},
	{Client: Outlook, Language: "no", From: "Fra", Date: "Dato", Subject: "Emne", To: "Til", Cc: "Kopi", Prefixes: []string{"Videresend:"}},
	{Client: Outlook, Language: "pl", From: "Od", Date: "Data", Subject: "Temat", To: "Do", Cc: "DW", Prefixes: []string{"PD:"}},
	{Client: Outlook, Language: "pt", From: "De", Date: "Data", Subject: "Assunto", To: "Para", Cc: "CC", Prefixes: []string{"FW:"}},
	{Client: Outlook, Language: "pt-br", From: "De", Date: "Data", Subject: "Assunto", To: "Para", Cc: "Cc", Prefixes: []string{"ENC:"}},
	{Client: Outlook, Language: "ru", From: "От", Date: "Дата", Subject: "Тема", To: "Кому", Cc: "Копия", Prefixes: []string{"FW:"}},
	{Client: Outlook, Language: "sk", From: "Od", Date: "Dátum", Subject: "Predmet", To: "Komu", Cc: "Kópia", Prefixes: []string{"FW:"}},
	{Client: Outlook, Language: "sv", From: "Från", Date: "Datum", Subject: "Ämne", To: "Till", Cc: "Kopia", Prefixes: []string{"VB:"}},
	{Client: Outlook, Language: "tr", From: "Kimden", Date: "Tarih", Subject: "Konu", To: "Kime", Cc: "Bilgi", Prefixes: []string{"İLT:"}},
	{Client: OutlookLive, Language: "cs", From: "Od", Date: "Odesláno", Subject: "Předmět", To: "Komu", Cc: "Kopie", Prefixes: []string{"Fw:"}},
	{Client: OutlookLive, Language: "da", From: "Fra", Date: "Sendt", Subject: "Emne", To: "Til", Cc: "Cc", Prefixes: []string{"VS:"}},
	{Client: OutlookLive, Language: "de", From: "Von", Date: "Gesendet", Subject: "Betreff", To: "An", Cc: "Cc", Prefixes: []string{"WG:"}},
	{Client: OutlookLive, Language: "en", From: "From", Date: "Sent", Subject: "Subject", To: "To", Cc: "Cc", Prefixes: []string{"Fw:"}},
	{Client: OutlookLive, Language: "es", From: "De", Date: "Enviado", Subject: "Asunto", To: "Para", Cc: "CC", Prefixes: []string{"RV:"}},
	{Client: OutlookLive, Language: "fi", From: "Lähettäjä", Date: "Lähetetty", Subject: "Aihe", To: "Vastaanottaja", Cc: "Kopio", Prefixes: []string{"VL:"}},
	{Client: OutlookLive, Language: "fr", From: "De ", Date: "Envoyé ", Subject: "Objet ", To: "À ", Cc: "Cc ", Prefixes: []string{"TR:"}},
	{Client: OutlookLive, Language: "it", From: "Da", Date: "Inviato", Subject: "Oggetto", To: "A", Cc: "Cc", Prefixes: []string{"I:"}},
	{Client: OutlookLive, Language: "nl", From: "Van", Date: "Verzonden", Subject: "Onderwerp", To: "Aan", Cc: "CC", Prefixes: []string{"FW:"}},
	{Client: OutlookLive, Language: "no", From: "Fra", Date: "Sendt", Subject: "Emne", To: "Til", Cc: "Kopi", Prefixes: []string{"Vs:"}},
	{Client: OutlookLive, Language: "pl", From: "Od", Date: "Wysłane", Subject: "Temat", To: "Do", Cc: "DW", Prefixes: []string{"PD:"}},
	{Client: OutlookLive, Language: "pt", From: "De", Date: "Enviado", Subject: "Assunto", To: "Para", Cc: "Cc", Prefixes: []string{"FW:"}},
	{Client: OutlookLive, Language: "pt-br", From: "De", Date: "Enviado", Subject: "Assunto", To: "Para", Cc: "Cc", Prefixes: []string{"ENC:"}},
	{Client: OutlookLive, Language: "ru", From: "От", Date: "Отправлено", Subject: "Тема", To: "Кому", Cc: "Копия", Prefixes: []string{"FW:"}},
	{Client: OutlookLive, Language: "sv", From: "Från", Date: "Skickat", Subject: "Ämne", To: "Till", Cc: "Kopia", Prefixes: []string{"VB:"}},
	{Client: Thunderbird, Language: "cs", Line: "-------- Přeposlaná zpráva --------", From: "Od", Date: "Datum", Subject: "Předmět", To: "Komu", Cc: "Kopie"},
	{Client: Thunderbird, Language: "da", Line: "-------- Videresendt meddelelse --------", From: "From", Date: "Date", Subject: "Subject", To: "To", Cc: "CC"},
	{Client: Thunderbird, Language: "de", Line: "-------- Weitergeleitete Nachricht --------", From: "Von", Date: "Datum", Subject: "Betreff", To: "An", Cc: "Kopie (CC)"},
	{Client: Thunderbird, Language: "en", Line: "-------- Forwarded Message --------", From: "From", Date: "Date", Subject: "Subject", To: "To", Cc: "CC"},
	{Client: Thunderbird, Language: "es", Line: "-------- Mensaje reenviado --------", From: "De", Date: "Fecha", Subject: "Asunto", To: "Para", Cc: "CC"},
	{Client: Thunderbird, Language: "fi", Line: "-------- Välitetty viesti / Fwd.Msg --------", From: "Lähettäjä", Date: "Päiväys", Subject: "Aihe", To: "Vastaanottaja", Cc: "CC"},
	{Client: Thunderbird, Language: "fr", Line: "-------- Message transféré --------", From: "De ", Date: "Date ", Subject: "Sujet ", To: "Pour ", Cc: "Copie à "},
	{Client: Thunderbird, Language: "hr", Line: "-------- Proslijeđena poruka --------", From: "Šalje", Date: "Datum", Subject: "Naslov", To: "Prima", Cc: "CC"},
	{Client: Thunderbird, Language: "hu", Line: "-------- Továbbított üzenet --------", From: "Feladó", Date: "Dátum", Subject: "Tárgy", To: "Címzett", Cc: "CC"},
	{Client: Thunderbird, Language: "it", Line: "-------- Messaggio Inoltrato --------", From: "Mittente", Date: "Data", Subject: "Oggetto", To: "A", Cc: "CC"},
	{Client: Thunderbird, Language: "nl", Line: "-------- Doorgestuurd bericht --------", From: "Van", Date: "Datum", Subject: "Onderwerp", To: "Aan", Cc: "CC"},
	{Client: Thunderbird, Language: "no", Line: "-------- Videresendt melding --------", From: "Fra", Date: "Dato", Subject: "Emne", To: "Til", Cc: "CC"},
	{Client: Thunderbird, Language: "pl", Line: "--- Treść przekazanej wiadomości ---", From: "Nadawca", Date: "Data", Subject: "Temat", To: "Adresat", Cc: "Kopia"},
	{Client: Thunderbird, Language: "pt", Line: "-------- Mensagem reencaminhada --------", From: "De", Date: "Data", Subject: "Assunto", To: "Para", Cc: "CC"},
	{Client: Thunderbird, Language: "pt-br", Line: "-------- Mensagem encaminhada --------", From: "De", Date: "Data", Subject: "Assunto", To: "Para", Cc: "CC"},
	{Client: Thunderbird, Language: "ro", Line: "-------- Mesaj redirecționat --------", From: "de la", Date: "Dată", Subject: "Subiect", To: "Către", Cc: "CC"},
	{Client: Thunderbird, Language: "ru", Line: "-------- Перенаправленное сообщение --------", From: "От", Date: "Дата", Subject: "Тема", To: "Кому", Cc: "Копия"},
	{Client: Thunderbird, Language: "sk", Line: "-------- Preposlaná správa --- Forwarded Message --------", From: "Od", Date: "Dátum", Subject: "Predmet", To: "Pre", Cc: "Kópia"},
	{Client: Thunderbird, Language: "sv", Line: "-------- Vidarebefordrat meddelande --------", From: "Från", Date: "Datum", Subject: "Ämne", To: "Till", Cc: "Kopia"},
	{Client: Thunderbird, Language: "tr", Line: "-------- İletilen İleti --------", From: "Kimden", Date: "Tarih", Subject: "Konu", To: "Kime", Cc: "CC"},
	{Client: Thunderbird, Language: "uk", Line: "-------- Переслане повідомлення --------", From: "Від", Date: "Дата", Subject: "Тема", To: "Кому", Cc: "CC"},
}
