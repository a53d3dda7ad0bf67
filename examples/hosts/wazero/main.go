// The core in a Go program, by wazero. It runs the conformance vectors:
//
//	go mod init example && go get github.com/tetratelabs/wazero@v1.12.0
//	go run . ../../../build/core.wasm ../../../test/vectors/*.txt
//
// or, with Debian's golang-github-tetratelabs-wazero-dev and no go.mod,
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go run . ...
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

const resultBytes = 32

// A core is one instance, and the addresses that a case keeps.
type core struct {
	context   context.Context
	module    api.Module
	addresses map[string]uint32
}

// call calls an export with numbers: float64 holds every i32.
func (c *core) call(name string, operands ...string) (float64, bool) {
	function := c.module.ExportedFunction(name)
	if function == nil {
		log.Fatalf("There is no export %q", name)
	}
	arguments := make([]uint64, len(operands))
	for i, kind := range function.Definition().ParamTypes() {
		value := number(operands[i])
		if kind == api.ValueTypeF64 {
			arguments[i] = api.EncodeF64(value)
		} else {
			arguments[i] = api.EncodeI32(int32(value))
		}
	}
	results, err := function.Call(c.context, arguments...)
	if err != nil {
		log.Fatal(err)
	}
	if len(results) == 0 {
		return 0, false
	}
	if function.Definition().ResultTypes()[0] == api.ValueTypeF64 {
		return api.DecodeF64(results[0]), true
	}
	return float64(api.DecodeI32(results[0])), true
}

// address is what "$NAME+BYTES" stands for.
func (c *core) address(operand string) uint32 {
	name, bytes, _ := strings.Cut(operand[1:], "+")
	offset, _ := strconv.ParseUint(bytes, 10, 32)
	base, ok := c.addresses[name]
	if !ok {
		log.Fatalf("No address is kept as %q", name)
	}
	return base + uint32(offset)
}

func (c *core) read(address, size uint32) []byte {
	bytes, ok := c.module.Memory().Read(address, size)
	if !ok {
		log.Fatalf("Address %d is outside memory", address)
	}
	return bytes
}

// run runs one statement and says what is wrong, if anything is.
func (c *core) run(statement string, operands []string) string {
	switch statement {
	case "call":
		equals := len(operands)
		if equals > 2 && operands[equals-2] == "=" {
			equals -= 2
		}
		got, _ := c.call(operands[0], operands[1:equals]...)
		if equals < len(operands) && got != number(operands[equals+1]) {
			return fmt.Sprintf("got %v", got)
		}
	case "let":
		got, _ := c.call(operands[1], operands[2:]...)
		c.addresses[operands[0]] = uint32(int32(got))
	case "put":
		bytes, err := hex.DecodeString(operands[1])
		if err != nil || !c.module.Memory().Write(c.address(operands[0]), bytes) {
			log.Fatalf("Cannot put %s", operands[0])
		}
	case "peek":
		got := int32(binary.LittleEndian.Uint32(c.read(c.address(operands[0]), 4)))
		if float64(got) != number(operands[1]) {
			return fmt.Sprintf("got %d", got)
		}
	case "result":
		base, _ := c.call("results")
		index := uint32(number(operands[0]))
		record := c.read(uint32(int32(base))+index*resultBytes, resultBytes)
		kind := math.Float64frombits(binary.LittleEndian.Uint64(record))
		value := math.Float64frombits(binary.LittleEndian.Uint64(record[8:]))
		low := binary.LittleEndian.Uint64(record[16:])
		high := int64(binary.LittleEndian.Uint64(record[24:]))
		got := []string{strconv.FormatUint(low, 10), strconv.FormatInt(high, 10)}
		if kind != number(operands[1]) || !same(value, number(operands[2])) ||
			got[0] != operands[3] || got[1] != operands[4] {
			return fmt.Sprintf("got %v %v %s %s", kind, value, got[0], got[1])
		}
	default:
		log.Fatalf("Cannot run %q", statement)
	}
	return ""
}

func number(text string) float64 {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		log.Fatal(err)
	}
	return value
}

// same tells 0 and -0 apart, but no NaN from another.
func same(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b)
}

func main() {
	ctx := context.Background()
	runtime := wazero.NewRuntime(ctx)
	defer runtime.Close(ctx)
	bytes, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	compiled, err := runtime.CompileModule(ctx, bytes)
	if err != nil {
		log.Fatal(err)
	}

	passed, total := 0, 0
	for _, path := range os.Args[2:] {
		file, err := os.Open(path)
		if err != nil {
			log.Fatal(err)
		}
		var current *core
		name, failed := "", false
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 1<<20)
		for line := 1; lines.Scan(); line++ {
			words := strings.Fields(lines.Text())
			if len(words) == 0 || words[0][0] == '#' {
				continue
			}
			if words[0] == "case" {
				if current != nil {
					current.module.Close(ctx)
				}
				// Without a name, any number of instances may live in one runtime.
				module, err := runtime.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName(""))
				if err != nil {
					log.Fatal(err)
				}
				current = &core{ctx, module, map[string]uint32{}}
				name, failed = words[1], false
				total++
				passed++
				continue
			}
			if failed {
				continue
			}
			if wrong := current.run(words[0], words[1:]); wrong != "" {
				fmt.Printf("line %d of %s: %s: %s\n", line, name, lines.Text(), wrong)
				failed = true
				passed--
			}
		}
		if err := lines.Err(); err != nil {
			log.Fatal(err)
		}
		if current != nil {
			current.module.Close(ctx)
		}
		file.Close()
	}
	fmt.Printf("%d of %d cases passed\n", passed, total)
	if total == 0 || passed != total {
		os.Exit(1)
	}
}
