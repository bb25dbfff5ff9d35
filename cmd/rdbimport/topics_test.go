package main

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rdbimport/rdbimport/pipeline"
)

// TestTopics: each topic begins with its name and what it is, and fits a terminal.
func TestTopics(t *testing.T) {
	const width = 106 // a list of permissions, to be copied, is not broken
	if len(topics()) == 0 {
		t.Fatal("no topics")
	}
	for _, name := range topics() {
		text, ok := topic(name)
		head, _, _ := strings.Cut(text, "\n")
		title := strings.ToLower(strings.ReplaceAll(name, "-", " "))
		if !ok || !strings.HasPrefix(strings.ToLower(head), title) {
			t.Errorf("%s begins with %q", name, head)
		}
		if !strings.HasSuffix(text, "\n") || strings.HasSuffix(text, "\n\n") {
			t.Errorf("%s does not end with one line feed", name)
		}
		for i, line := range strings.Split(text, "\n") {
			if utf8.RuneCountInString(line) > width {
				t.Errorf("%s: line %d has more than %d letters", name, i+1, width)
			}
		}
	}
}

// TestTopicJSON: every key that is printed is in the help.
func TestTopicJSON(t *testing.T) {
	text, _ := topic("json")
	for _, printed := range []any{jsonSummary{}, jsonLeftover{}, planReport{}, jsonVerify{}, jsonDifference{}, inspectReport{}, benchReport{}, refusedKey{}} {
		for _, key := range jsonKeys(reflect.TypeOf(printed), map[reflect.Type]bool{}) {
			if !regexp.MustCompile(`\b` + key + `\b`).MatchString(text) {
				t.Errorf("%T prints %s, which the help does not have", printed, key)
			}
		}
	}
}

// jsonKeys returns the keys with which a value of the type is printed, and those
// within it.
func jsonKeys(t reflect.Type, seen map[reflect.Type]bool) (keys []string) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return jsonKeys(t.Elem(), seen)
	case reflect.Struct:
	default:
		return nil
	}
	if seen[t] {
		return nil
	}
	seen[t] = true
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		if name != "" {
			keys = append(keys, name)
		}
		keys = append(keys, jsonKeys(f.Type, seen)...)
	}
	return keys
}

// TestTopicProgress: every state of a master is in the help.
func TestTopicProgress(t *testing.T) {
	text, _ := topic("progress")
	for s := pipeline.MasterIdle; s <= pipeline.MasterFailingOver; s++ {
		if !regexp.MustCompile(fmt.Sprintf(`(?m)^  (\w+, )?%s\b`, s)).MatchString(text) {
			t.Errorf("the help does not say what %q means", s)
		}
	}
}
