// Package executortest is the conformance suite of executor.Executor: what a SuperExec counts
// on, whichever executor runs its apps.
//
// The suite speaks to apps by their arguments. An executor under test works with an
// environment whose flwr-clientapp is a [Puppet] that obeys it, in the language that the
// executor can run. It is not responsible for what is special about one executor.
package executortest
