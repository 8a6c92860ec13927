// Package tap prints results in the Test Anything Protocol, version 13.
//
// The validation programs import github.com/mndrix/tap-go, the one library of theirs that Debian does not package. This
// one has the calls that they make.
package tap

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// T is one stream of results. It writes to standard output unless Writer is set.
type T struct {
	Writer   io.Writer
	last     int
	nextTodo bool
}

// New begins a stream.
func New() *T { return &T{} }

// Header prints the version and, unless it is 0 (not known yet), how many results will follow.
func (t *T) Header(results int) {
	t.line("TAP version 13")
	if results > 0 {
		t.line("1..%d", results)
	}
}

// AutoPlan prints after the fact how many results there were.
func (t *T) AutoPlan() { t.line("1..%d", t.last) }

// Ok prints one result.
func (t *T) Ok(passed bool, description string) {
	directive := ""
	if t.nextTodo {
		directive, t.nextTodo = " # TODO", false
	}
	t.result(passed, " - "+description+directive)
}

// Pass prints a good result.
func (t *T) Pass(description string) { t.Ok(true, description) }

// Fail prints a bad result.
func (t *T) Fail(description string) { t.Ok(false, description) }

// Todo marks the next result as one that is allowed to be bad.
func (t *T) Todo() *T {
	t.nextTodo = true
	return t
}

// Skip prints results that were not determined.
func (t *T) Skip(count int, why string) {
	for i := 0; i < count; i++ {
		t.result(true, " # SKIP "+why)
	}
}

// Diagnostic prints a comment.
func (t *T) Diagnostic(comment string) {
	for _, text := range strings.Split(comment, "\n") {
		t.line("# %s", text)
	}
}

// Diagnosticf prints a formatted comment.
func (t *T) Diagnosticf(format string, values ...interface{}) {
	t.Diagnostic(fmt.Sprintf(format, values...))
}

// YAML prints a block of data about the last result; JSON is YAML too.
func (t *T) YAML(data interface{}) error {
	text, err := json.MarshalIndent(data, "  ", "  ")
	if err != nil {
		return err
	}
	t.line("  ---\n  %s\n  ...", text)
	return nil
}

func (t *T) result(passed bool, rest string) {
	t.last++
	word := "ok"
	if !passed {
		word = "not ok"
	}
	t.line("%s %d%s", word, t.last, strings.ReplaceAll(rest, "\n", " "))
}

func (t *T) line(format string, values ...interface{}) {
	w := t.Writer
	if w == nil {
		w = os.Stdout
	}
	fmt.Fprintf(w, format+"\n", values...)
}
