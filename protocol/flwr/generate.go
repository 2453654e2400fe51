package flwr

//go:generate sh -c "go run ../../internal/protogen -I proto -module github.com/rhizome-fl/rhizome -out ../.. $(cd proto && ls flwr/proto/*.proto | tr '\\n' ' ')"
