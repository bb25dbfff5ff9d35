package main

import (
	"embed"
	"strings"
)

// topicFiles hold what people look up and do not need in order to begin: one
// file for each topic, named after it.
//
//go:embed topics
var topicFiles embed.FS

// topic returns the text of a topic of the help.
func topic(name string) (text string, ok bool) {
	b, err := topicFiles.ReadFile("topics/" + name + ".txt")
	return string(b), err == nil
}

// topics returns the names of all, in order.
func topics() []string {
	files, err := topicFiles.ReadDir("topics")
	if err != nil {
		panic(err) // it is part of the program
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = strings.TrimSuffix(f.Name(), ".txt")
	}
	return names
}
