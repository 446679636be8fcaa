// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title A stablecoin for development chains
/// @notice Shaped like USDC: 6 decimals, permit (ERC-2612) and transfers by authorization (ERC-3009). Its owner mints at
/// will, so it is worth nothing and is never deployed where money is.
contract DevStablecoin is ERC20, ERC20Permit, Ownable {
    bytes32 private constant TRANSFER_TYPEHASH = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 private constant RECEIVE_TYPEHASH = keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 private constant CANCEL_TYPEHASH = keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");

    /// @notice Whether an authorization was used or cancelled.
    mapping(address authorizer => mapping(bytes32 nonce => bool)) public authorizationState;

    /// @notice An authorization was used.
    /// @param authorizer Who gave it.
    /// @param nonce Its random nonce.
    event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);

    /// @notice An authorization was cancelled.
    /// @param authorizer Who gave it.
    /// @param nonce Its random nonce.
    event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce);

    /// @notice Now is outside of the authorization's window.
    /// @param timestamp Now, Unix time.
    /// @param validAfter Last second before the window.
    /// @param validBefore First second after the window.
    error AuthorizationOutsideWindow(uint256 timestamp, uint256 validAfter, uint256 validBefore);

    /// @notice The authorization was used or cancelled before.
    /// @param authorizer Who gave it.
    /// @param nonce Its nonce.
    error AuthorizationSpent(address authorizer, bytes32 nonce);

    /// @notice The authorization was not signed by the one who is to pay.
    /// @param authorizer Who should have signed.
    error AuthorizationNotSigned(address authorizer);

    /// @notice Only the payee may bring this authorization.
    /// @param caller Who brought it.
    /// @param payee Who may.
    error CallerNotPayee(address caller, address payee);

    /// @param owner Who may mint.
    constructor(address owner) ERC20("Development USD", "devUSD") ERC20Permit("Development USD") Ownable(owner) {}

    /// @notice Six, as USDC has.
    function decimals() public pure override returns (uint8) {
        return 6;
    }

    /// @notice Makes tokens.
    /// @param to Who gets them.
    /// @param value How many, in base units.
    function mint(address to, uint256 value) external onlyOwner {
        _mint(to, value);
    }

    /// @notice Moves tokens by the payer's authorization, whoever brings it (ERC-3009).
    /// @param from Payer, who signed.
    /// @param to Payee.
    /// @param value Base units.
    /// @param validAfter Last second before the window, Unix time.
    /// @param validBefore First second after the window, Unix time.
    /// @param nonce Random nonce, used once.
    /// @param signature Payer's signature (r, s, v, or an ERC-1271 contract's).
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) public {
        bytes32 structHash = keccak256(abi.encode(TRANSFER_TYPEHASH, from, to, value, validAfter, validBefore, nonce));
        _useAuthorization(from, validAfter, validBefore, nonce, structHash, signature);
        _transfer(from, to, value);
    }

    /// @notice The same with the signature in parts.
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        transferWithAuthorization(from, to, value, validAfter, validBefore, nonce, abi.encodePacked(r, s, v));
    }

    /// @notice Moves tokens by an authorization that only the payee may bring (ERC-3009).
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        if (msg.sender != to) revert CallerNotPayee(msg.sender, to);
        bytes32 structHash = keccak256(abi.encode(RECEIVE_TYPEHASH, from, to, value, validAfter, validBefore, nonce));
        _useAuthorization(from, validAfter, validBefore, nonce, structHash, abi.encodePacked(r, s, v));
        _transfer(from, to, value);
    }

    /// @notice Makes an authorization unusable.
    function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s) external {
        if (authorizationState[authorizer][nonce]) revert AuthorizationSpent(authorizer, nonce);
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(CANCEL_TYPEHASH, authorizer, nonce)));
        if (!SignatureChecker.isValidSignatureNow(authorizer, digest, abi.encodePacked(r, s, v))) {
            revert AuthorizationNotSigned(authorizer);
        }
        authorizationState[authorizer][nonce] = true;
        emit AuthorizationCanceled(authorizer, nonce);
    }

    function _useAuthorization(
        address authorizer,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes32 structHash,
        bytes memory signature
    ) private {
        if (block.timestamp <= validAfter || block.timestamp >= validBefore) {
            revert AuthorizationOutsideWindow(block.timestamp, validAfter, validBefore);
        }
        if (authorizationState[authorizer][nonce]) revert AuthorizationSpent(authorizer, nonce);
        if (!SignatureChecker.isValidSignatureNow(authorizer, _hashTypedDataV4(structHash), signature)) {
            revert AuthorizationNotSigned(authorizer);
        }
        authorizationState[authorizer][nonce] = true;
        emit AuthorizationUsed(authorizer, nonce);
    }
}
