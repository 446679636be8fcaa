"""Who calls: an access token of ours, in the Authorization header only."""

from oauth2_provider.contrib import rest_framework as oauth_rest


class BearerToken(oauth_rest.OAuth2Authentication):
    """Accept `Authorization: Bearer …` for a token that is alive and whose person is active."""
