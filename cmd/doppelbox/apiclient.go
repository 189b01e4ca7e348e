package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// apiFlag says which running provider a command speaks with.
type apiFlag struct {
	API string `name:"api" env:"DOPPELBOX_API" default:"http://127.0.0.1:8025" placeholder:"URL" help:"The control API of the running provider. Default http://127.0.0.1:8025."`
}

// maxAnswer bounds what is read of an answer of the API, in octets.
const maxAnswer = 16 << 20

// readWhole reads the body of an answer whole. A longer one is refused: a part
// of it would be taken for something that it is not.
func readWhole(from string, body io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	if err != nil {
		return nil, usagef("reading the answer of %s: %w", from, err)
	}
	if len(data) > maxAnswer {
		return nil, usagef("the answer of %s has more than %d octets", from, maxAnswer)
	}
	return data, nil
}

// statusError is the error of an answer that is not good.
type statusError struct {
	status  int
	base    string
	message string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s answered %d %s: %s", e.base, e.status, http.StatusText(e.status), e.message)
}

// call makes a request to the API and returns the body of a good answer.
func (f apiFlag) call(ctx context.Context, method, path string, body string) ([]byte, error) {
	answer, err := f.send(ctx, &http.Client{Timeout: time.Minute}, method, path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return readWhole(f.base(), answer.Body)
}

// ask asks the API in JSON, and reads its answer.
func (f apiFlag) ask(ctx context.Context, path string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return usageError{err}
	}
	data, err := f.call(ctx, http.MethodPost, path, string(body))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return usagef("reading the answer of %s: %w", f.base(), err)
	}
	return nil
}

func (f apiFlag) base() string {
	return strings.TrimSuffix(strings.TrimSuffix(f.API, "/"), "/api/v1")
}

// send makes a request to the API and returns a good answer, whose body the
// caller closes. The error of another answer is a [*statusError].
func (f apiFlag) send(ctx context.Context, client *http.Client, method, path string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, f.base()+path, body)
	if err != nil {
		return nil, usageError{err}
	}
	r.Header.Set("Content-Type", "text/plain")
	answer, err := client.Do(r)
	if err != nil {
		return nil, hinted{usagef("%w", err), "doppelbox serve prints the address of its control API"}
	}
	if answer.StatusCode == http.StatusOK {
		return answer, nil
	}
	defer answer.Body.Close()
	data, err := readWhole(f.base(), answer.Body)
	if err != nil {
		return nil, err
	}
	return nil, usageError{&statusError{answer.StatusCode, f.base(), apiMessage(data)}}
}

// apiMessage is what an answer of the API says went wrong.
func apiMessage(data []byte) string {
	var answer struct {
		Error    string `json:"error"`
		Mistakes []struct{ Msg string }
		Phases   []struct{ Failures []struct{ Msg string } }
	}
	if json.Unmarshal(data, &answer) != nil {
		return string(data)
	}
	list := []string{}
	if answer.Error != "" {
		list = append(list, answer.Error)
	}
	for _, m := range answer.Mistakes {
		list = append(list, m.Msg)
	}
	for _, p := range answer.Phases {
		for _, f := range p.Failures {
			list = append(list, f.Msg)
		}
	}
	return strings.Join(list, "; ")
}
