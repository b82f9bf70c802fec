"""A provider that gives back what it was asked: the pattern for one of your own."""


def run(request):
    return {"echo": request}
