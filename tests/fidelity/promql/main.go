// Answers queries with the engine of Prometheus itself, on samples that are read from standard input. To build it:
//
//	go mod init promql-rig && go get github.com/prometheus/prometheus@v0.316.0 && go mod tidy && go build -o promql-rig .
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"
)

type series struct {
	Labels  map[string]string `json:"labels"`
	Samples [][2]string       `json:"samples"`
}

type query struct {
	Query string  `json:"query"`
	Time  float64 `json:"time"`
}

type input struct {
	Series  []series `json:"series"`
	Queries []query  `json:"queries"`
}

type value struct {
	Labels map[string]string `json:"labels"`
	Value  string            `json:"value"`
}

type answer struct {
	Type   string  `json:"type,omitempty"`
	Values []value `json:"values,omitempty"`
	Error  string  `json:"error,omitempty"`
}

func text(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	var in input
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		log.Fatal(err)
	}
	dir := must(os.MkdirTemp("", "promql"))
	defer os.RemoveAll(dir)
	options := tsdb.DefaultOptions()
	options.OutOfOrderTimeWindow = int64(24 * time.Hour / time.Millisecond)
	db := must(tsdb.Open(dir, nil, nil, options, nil))
	defer db.Close()
	ctx := context.Background()
	app := db.Appender(ctx)
	for _, s := range in.Series {
		for _, sample := range s.Samples {
			t := must(strconv.ParseFloat(sample[0], 64))
			v := must(strconv.ParseFloat(sample[1], 64))
			must(app.Append(0, labels.FromMap(s.Labels), int64(t*1000+0.5), v))
		}
	}
	if err := app.Commit(); err != nil {
		log.Fatal(err)
	}
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 50_000_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute,
		EnableAtModifier: true, EnableNegativeOffset: true, Parser: parser.NewParser(parser.Options{}),
	})
	out := []answer{}
	for _, q := range in.Queries {
		out = append(out, ask(ctx, engine, db, q))
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		log.Fatal(err)
	}
}

func ask(ctx context.Context, engine *promql.Engine, db *tsdb.DB, q query) answer {
	ts := time.UnixMilli(int64(q.Time*1000 + 0.5))
	asked, err := engine.NewInstantQuery(ctx, db, nil, q.Query, ts)
	if err != nil {
		return answer{Error: err.Error()}
	}
	defer asked.Close()
	result := asked.Exec(ctx)
	if result.Err != nil {
		return answer{Error: result.Err.Error()}
	}
	switch found := result.Value.(type) {
	case promql.Scalar:
		return answer{Type: "scalar", Values: []value{{Labels: map[string]string{}, Value: text(found.V)}}}
	case promql.Vector:
		values := []value{}
		for _, sample := range found {
			values = append(values, value{Labels: sample.Metric.Map(), Value: text(sample.F)})
		}
		return answer{Type: "vector", Values: values}
	}
	return answer{Error: fmt.Sprintf("a %s", result.Value.Type())}
}
