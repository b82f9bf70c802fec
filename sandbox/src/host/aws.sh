#!/bin/sh
# A stand-in for the AWS CLI on the sandbox's host: a few calls of ECR, EKS, ELB and STS, nothing behind
# them but the names of load balancers in the statuses of Ingresses.
#
# The account 000000000000 is nobody's, the region xx-away-1 can't be reached, and the EKS cluster
# `sandbox` is the sandbox's own.
state=${0%/*}/../aws
mkdir -p "$state"

say() { printf '%s\n' "$*" >&2; }
option() { # the value of an option among the words after it
    wanted=$1
    shift
    while [ $# -gt 1 ]; do
        [ "$1" = "$wanted" ] && { printf '%s' "$2"; return; }
        shift
    done
}
fail() { # the error's code, the operation, the message
    say
    say "An error occurred ($1) when calling the $2 operation: $3"
    exit 254
}

service=$1 act=$2
[ "$service" = --version ] && { echo "aws-cli/2.0 (stand-in of the berth sandbox)"; exit 0; }
[ $# -ge 2 ] || { say "usage: aws [options] <command> <subcommand> [<subcommand> ...] [parameters]"; exit 252; }
shift 2
region=$(option --region "$@")
account=$(option --registry-id "$@")
if [ "$region" = xx-away-1 ]; then
    say
    say "Could not connect to the endpoint URL: \"https://api.$service.$region.amazonaws.com/\""
    exit 255
fi

case $service/$act in
sts/get-caller-identity)
    echo '{"UserId": "AIDASTANDIN", "Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/stand-in"}'
    ;;
ecr/describe-repositories)
    name=$(option --repository-names "$@")
    [ "$account" != 000000000000 ] ||
        fail AccessDeniedException DescribeRepositories "User: arn:aws:iam::123456789012:user/stand-in is not authorized to perform: ecr:DescribeRepositories"
    grep -q -x -F "$region/$account/$name" "$state/repositories" 2>/dev/null ||
        fail RepositoryNotFoundException DescribeRepositories "The repository with name '$name' does not exist in the registry with id '$account'"
    printf '{"repositories": [{"repositoryName": "%s"}]}\n' "$name"
    ;;
ecr/create-repository)
    name=$(option --repository-name "$@")
    ! grep -q -x -F "$region/$account/$name" "$state/repositories" 2>/dev/null ||
        fail RepositoryAlreadyExistsException CreateRepository "The repository with name '$name' already exists in the registry with id '$account'"
    printf '%s\n' "$region/$account/$name" >>"$state/repositories"
    printf '{"repository": {"repositoryName": "%s"}}\n' "$name"
    ;;
elbv2/describe-load-balancers)
    names='{range .items[*].status.loadBalancer.ingress[*]}{.hostname}{"\n"}{end}'
    kubectl get ingresses --all-namespaces -o "jsonpath=$names" | sort -u | awk '
        BEGIN { printf "{\"LoadBalancers\": [" }
        NF { printf "%s{\"LoadBalancerName\": \"k8s-%d\", \"DNSName\": \"%s\", \"State\": {\"Code\": \"active\"}}", comma, NR, $1; comma = ", " }
        END { print "]}" }'
    ;;
eks/update-kubeconfig)
    name=$(option --name "$@")
    file=$(option --kubeconfig "$@")
    [ "$name" = sandbox ] ||
        fail ResourceNotFoundException DescribeCluster "No cluster found for name: $name."
    cp "$KUBECONFIG" "$file" || exit 255
    echo "Added new context arn:aws:eks:$region:123456789012:cluster/$name to $file"
    ;;
*)
    say "aws: [ERROR]: the stand-in does not know $service $act"
    exit 252
    ;;
esac
