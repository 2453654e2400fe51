// Package executortest is the conformance suite for executor.Executor: what a SuperExec relies
// on, whichever executor runs its apps.
//
// The suite talks to apps through their arguments. An executor under test works with an
// environment whose flwr-clientapp is a [Puppet] that obeys those arguments, in a language that
// the executor can run. The suite is not responsible for what is special about one executor.
package executortest
