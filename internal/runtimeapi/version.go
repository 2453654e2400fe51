package runtimeapi

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"

	"github.com/rhizome-fl/rhizome/protocol/flwr"
)

// The minor versions of Flower 1 whose apps speak this API: its routes and messages did not
// change from 1.40 to 1.42.
const (
	oldestMinor = 40
	newestMinor = 42
)

var versionPattern = regexp.MustCompile(`^(\d{1,6})\.(\d{1,6})(?:(?:\.|-|\+|a|b|rc).*)?$`)

// checkVersion refuses clients that may misunderstand us (412, code 1001); they then exit with
// an explanation. A client that says nothing about itself is considered compatible.
func checkVersion(header http.Header) error {
	name, version, component := header.Get(flwr.HeaderPackageName), header.Get(flwr.HeaderPackageVersion), header.Get(flwr.HeaderComponentName)
	if name == "" && version == "" && component == "" {
		return nil
	}
	refuse := func(format string, args ...any) error {
		return flwr.NewError(flwr.CodeVersionIncompatible).WithExtra(fmt.Sprintf(format, args...))
	}
	if name == "" || version == "" || component == "" {
		return refuse("The request names its package, version and component only in part.")
	}
	if name != "flwr" && name != "flwr-nightly" {
		return refuse("Package %.40q is not Flower.", name)
	}
	match := versionPattern.FindStringSubmatch(version)
	if match == nil {
		return refuse("Version %.40q cannot be read.", version)
	}
	minor, err := strconv.Atoi(match[2])
	if err != nil || match[1] != "1" || minor < oldestMinor || minor > newestMinor {
		return refuse("%s uses flwr %.40s; Rhizome works with flwr 1.%d to 1.%d.", component, version, oldestMinor, newestMinor)
	}
	return nil
}
