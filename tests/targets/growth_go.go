// SPDX-License-Identifier: BSD-2-Clause

// Memory that a Go program keeps, by function. Protocol: see ledger.h; the ledger is the bytes kept.
package main

import (
	"bufio"
	"fmt"
	"os"
)

type node struct {
	next *node
	data [1000]byte
}

var list *node
var buffers [][]byte

//go:noinline
func growthNodes(n int) {
	for i := 0; i < n; i++ {
		list = &node{next: list}
		list.data[0] = 1
	}
}

//go:noinline
func growthBuffers(n int) {
	for i := 0; i < n; i++ {
		buffer := make([]byte, 64<<10)
		for at := 0; at < len(buffer); at += 4096 {
			buffer[at] = 1
		}
		buffers = append(buffers, buffer)
	}
}

func main() {
	input := bufio.NewReader(os.Stdin)
	fmt.Printf("{\"ready\":%d}\n", os.Getpid())
	input.ReadString('\n')
	growthNodes(32 << 10)
	growthBuffers(256)
	// A node takes a block of 1,024 bytes.
	fmt.Printf("{\"kept\":{\"main.growthNodes\":%d,\"main.growthBuffers\":%d}}\n", 32<<20, 16<<20)
	input.ReadString('\n')
}
